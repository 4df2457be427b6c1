import { describe, expect, it } from 'vitest'
import { contentOf } from '../../src/runtime/content.ts'
import { dotnetStack, dotnetTypeOf } from '../../src/runtime/dotnet-stack.ts'

function withStack(frames: readonly string[], name = 'Error'): Error {
  const error = new Error('no stock')
  error.stack = [`${name}: no stock`, ...frames.map((frame) => `    at ${frame}`)].join('\n')
  return error
}

describe('a V8 stack, as .NET prints it', () => {
  const cases: readonly [string, string][] = [
    ['PlaceOrderHandler.handle (/app/src/x.ts:10:5)', '   at PlaceOrderHandler.handle() in /app/src/x.ts:line 10'],
    ['async PlaceOrderHandler.handle (file:///app/src/x.ts:10:5)', '   at PlaceOrderHandler.handle() in /app/src/x.ts:line 10'],
    ['new Stock (/app/src/stock.ts:1:2)', '   at stock.Stock() in /app/src/stock.ts:line 1'],
    ['/app/src/place-order.handler.ts:3:4', '   at place-order.handler.<anonymous>() in /app/src/place-order.handler.ts:line 3'],
    ['Object.<anonymous> (/my app/src/x.ts:10:5)', '   at Object.<anonymous>() in /my app/src/x.ts:line 10'],
    ['process.processTicksAndRejections (node:internal/process/task_queues:95:5)', '   at process.processTicksAndRejections()'],
    ['Stock.find [as look] (C:\\app\\stock.ts:7:1)', '   at Stock.find() in C:\\app\\stock.ts:line 7'],
    ['file:///app/with%20blank/x.ts?v=2:5:6', '   at x.<anonymous>() in /app/with blank/x.ts:line 5'],
  ]
  for (const [frame, expected] of cases)
    it(frame, () => {
      expect(dotnetStack(withStack([frame])).split('\n')).toEqual(['Node.Error: no stock', expected])
    })

  it('leaves out what is no frame', () => {
    expect(dotnetStack(withStack(['async Promise.all (index 0)', 'Array.map (<anonymous>)']))).toBe('Node.Error: no stock')
  })

  it('marks the frames of this library', () => {
    let thrown: unknown
    try {
      contentOf('no message')
    } catch (error) {
      thrown = error
    }

    expect(dotnetStack(thrown).split('\n')[1]).toMatch(/^ {3}at nsbus\.content\.contentOf\(\) in .*content\.ts:line \d+$/)
  })

  it('names what has no name', () => {
    expect([dotnetTypeOf('text'), dotnetTypeOf(null), dotnetTypeOf(Object.create(null)), dotnetTypeOf(new RangeError('x'))]).toEqual([
      'Node.string',
      'Node.object',
      'Node.Object',
      'Node.RangeError',
    ])
  })
})
