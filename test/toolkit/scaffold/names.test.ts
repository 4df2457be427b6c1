import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { idPropertyOf, kebabCase, kindOf, toPascalCase, typeNames } from '../../../src/toolkit/scaffold/names.ts'
import { endpointNameFor } from '../../../src/toolkit/scaffold/project-layout.ts'

describe('the names of a message', () => {
  it.each([
    ['PlaceOrder', { short: 'PlaceOrder', full: 'Shop.PlaceOrder', file: 'place-order' }],
    ['Billing.Invoices.SendInvoice', { short: 'SendInvoice', full: 'Billing.Invoices.SendInvoice', file: 'send-invoice' }],
    ['SMSSent', { short: 'SMSSent', full: 'Shop.SMSSent', file: 'sms-sent' }],
    ['Order2Placed', { short: 'Order2Placed', full: 'Shop.Order2Placed', file: 'order-2-placed' }],
  ])('of %s', (given, names) => {
    assert.deepEqual(typeNames(given, 'Shop'), names)
  })

  it.each([
    ['placeOrder', 'Write PlaceOrder'],
    ['place-order', 'Write PlaceOrder'],
    ['place order', 'Write PlaceOrder'],
    ['shop.placeOrder', 'Write Shop.PlaceOrder'],
    ['../PlaceOrder', '--dir'],
    ['src/messages/PlaceOrder', '--dir'],
    ['.PlaceOrder', 'Shop.PlaceOrder'],
    ['PlaceOrder.', 'Shop.PlaceOrder'],
    ['Shop..PlaceOrder', 'Shop.PlaceOrder'],
    ['', 'Shop.PlaceOrder'],
    ['class', 'PlaceOrder'],
    ['Shop.delete', 'PlaceOrder'],
    ['Error', 'OrderError'],
    ['Bestellung€', 'PascalCase'],
    ['__proto__', 'Write'],
  ])('refuses %j with a suggestion', (given, suggestion) => {
    expect(() => typeNames(given, 'Shop')).toThrow(expect.objectContaining({ code: 'NSB_BAD_NAME' }))
    try {
      typeNames(given, 'Shop')
    } catch (error) {
      const { message, suggestions } = error as { message: string; suggestions: string[] }
      assert.ok(`${message} ${suggestions.join(' ')}`.includes(suggestion), suggestions.join(' '))
    }
  })

  it.each([
    ['PlaceOrder', 'command', 'OrderId'],
    ['OrderPlaced', 'event', 'OrderId'],
    ['OrderAccepted', 'event', 'OrderId'],
    ['InvoiceSent', 'event', 'InvoiceId'],
    ['PriorityOrderPlaced', 'event', 'OrderId'],
    ['OrderStatus', 'command', 'OrderId'],
    ['Ping', 'command', 'Id'],
    ['Feed', 'command', 'Id'],
  ])('%s is a %s about %s', (name, kind, property) => {
    assert.equal(kindOf(name), kind)
    assert.equal(idPropertyOf(name), property)
  })

  it.each([
    ['shop', 'Shop'],
    ['my-shop', 'MyShop'],
    ['Shop.Sales', 'Shop.Sales'],
    ['2026 orders', 'Orders'],
    ['…', 'Endpoint'],
  ])('an endpoint in the folder %s is called %s', (folder, name) => {
    assert.equal(endpointNameFor(folder), name)
  })

  it('convert between the two ways of writing', () => {
    assert.equal(toPascalCase(kebabCase('PlaceOrder')), 'PlaceOrder')
  })
})
