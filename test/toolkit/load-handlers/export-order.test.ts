import assert from 'node:assert/strict'
import { it } from 'vitest'
import { inOrderOfAppearance } from '../../../src/toolkit/load-handlers/export-order.ts'

it.each([
  ['classes', 'class Zebra{}class Ape extends Base{}export{Ape,Zebra};', ['Zebra', 'Ape']],
  ['constants', 'export const zebra=handler(A,f),ape=2;export const bear=1;', ['zebra', 'ape', 'bear']],
  ['renamed ones', 'class Inner{}class Other{}export{Other as Ape,Inner as Zebra};', ['Zebra', 'Ape']],
  ['a default class', 'class A{}export default class B{}', ['A', 'default']],
  ['a default value', 'export default defineEndpoint("x",{});export const audit=1;', ['default', 'audit']],
  ['a default that is named', 'class Zebra{}class Ape{}export{Ape,Zebra as default};', ['default', 'Ape']],
  ['functions', 'function*zebra(){}async function ape(){}export{ape,zebra};', ['zebra', 'ape']],
  ['re-exports', 'export{Zebra}from"./z.js";export{Ape}from"./a.js";', ['Zebra', 'Ape']],
  [
    'names that begin alike',
    'class PlaceOrderHandler{}class PlaceOrder{}export{PlaceOrder,PlaceOrderHandler};',
    ['PlaceOrderHandler', 'PlaceOrder'],
  ],
  ['dollar signs', 'const $b=1,$a=2;export{$a,$b};', ['$b', '$a']],
])('%s are listed as they are declared', (_name, code, expected) => {
  assert.deepEqual(inOrderOfAppearance(expected.toSorted(), code), expected)
})
