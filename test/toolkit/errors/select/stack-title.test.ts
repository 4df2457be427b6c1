import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { exceptionTitle, firstFrame, parseFrame } from '../../../../src/toolkit/errors/select/stack-title.ts'

const header = (name: string): string => `NServiceBus.ExceptionInfo.${name}`
const titleOf = (stack: string | undefined, message = ''): string | undefined =>
  exceptionTitle({
    [header('ExceptionType')]: 'T',
    [header('Message')]: message,
    ...(stack === undefined ? {} : { [header('StackTrace')]: stack }),
  })

describe('the title of an exception group', () => {
  it('E-4 joins the outermost type and the innermost frame of three nested exceptions', () => {
    const file = new URL(
      '../../../fixtures/wire/learning/12-error-queue/storage/error/1040e120-b4a9-4604-a621-ad0c83bfacd2.metadata.txt',
      import.meta.url,
    )
    const headers = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>

    assert.equal(
      exceptionTitle(headers),
      'System.InvalidOperationException: Shop.Handlers.FailingOrderHandler.Handle(FailingOrder message, IMessageHandlerContext context)',
    )
  })

  it.each([[undefined], [''], [' \r\n\t'], ['T: no frames here'], ['   at file:///app/x.js:1:2']])(
    'E-5 of the stack %j is "No stacktrace"',
    (stack) => {
      assert.equal(titleOf(stack), 'T: No stacktrace')
    },
  )

  it('E-5 removes the message everywhere before it looks for a frame, even where that mangles one', () => {
    const stack = 'T: Handle\n   at Sales.Handler.Handle(Order order)'

    assert.equal(titleOf(stack, 'Handle'), 'T: Sales.r.(Order order)')
    assert.equal(titleOf('T: at\n   at A.b(C d)', 'at'), 'T: No stacktrace')
  })

  it('E-5 removes the message from one line after the other with the same result as from the whole text', () => {
    const piece = fc.constantFrom('at ', '   at A.B(C d)', 'A.B', '(C d)', '\n', ' ', 'x', 'at A.B(C d) in /a:line 5')
    const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(text, text, (stack, message) => {
        const frame = stack.trim() === '' ? undefined : firstFrame(message === '' ? stack : stack.replaceAll(message, ''))

        assert.equal(
          titleOf(stack, message),
          frame === undefined ? 'T: No stacktrace' : `T: ${frame.type}.${frame.method}${frame.parameters}`,
        )
      }),
      { numRuns: 2000 },
    )
  })

  it('has no title without any exception detail', () => assert.equal(exceptionTitle({}), undefined))
})

describe('a frame', () => {
  it.each([
    ['   at A.B.C(D e, F g) in /src/x.cs:line 5', 'A.B', 'C', '(D e, F g)'],
    ['   at A.B.C()', 'A.B', 'C', '()'],
    ['   at A.B.C() in C:\\src\\x.cs:line 5.', 'A.B', 'C', '()'],
    ['   bei A.B.C(D e) in C:\\src\\x.cs:Zeile 5', 'A.B', 'C', '(D e)'],
    ['   в A.B.C(D e) в /src/x.cs:строка 5', 'A.B', 'C', '(D e)'],
    ['\tat A.B..ctor(D e)\r', 'A.B.', 'ctor', '(D e)'],
    ['at A.B`1.C(List`1 a, Func`2 b)', 'A.B`1', 'C', '(List`1 a, Func`2 b)'],
    ['  at A.B.C (D e) [0x0001f] in <3a5f>:0', 'A.B', 'C', '(D e)'],
    // A path with a blank looks like parameters, to ServiceControl as well.
    ['    at PlaceOrderHandler.handle (/my app/src/x.ts:10:5)', 'PlaceOrderHandler', 'handle', '(/my app/src/x.ts:10:5)'],
  ])('is found in %j', (line, type, method, parameters) => assert.deepEqual(parseFrame(line), { type, method, parameters }))

  it.each([
    ['   at Handler.handle (/app/x.ts:10:5)'],
    ['   at async Promise.all (x)'],
    ['   at A.B.C(D)'],
    ['   at C()'],
    ['A.B.C()'],
    ['   at A.B.C() trailing text'],
  ])('is not found in %j', (line) => assert.equal(parseFrame(line), undefined))

  it('is the first one of the text', () => {
    assert.deepEqual(firstFrame('T: x\n   at A.First()\n   at A.Second()'), { type: 'A', method: 'First', parameters: '()' })
  })

  // ServiceControl's expression, blanks written out.
  const word = '[\\p{L}\\p{Mn}\\p{Nd}\\p{Pc}\\u200c\\u200d]+'
  const place = `(?:[ \\t]+(?:${word}[ \\t]+(?:[a-z]:|/)[^]+?:${word}[ \\t]+[0-9]+\\p{P}?|\\[0x[0-9a-f]+\\][ \\t]+${word}[ \\t]+<[^>]+>:[0-9]+))?\\s*$`
  const parameters = '(?<parameters>\\((?:[ \\t]*\\)|[^]+?[ \\t]+[^]+?(?:,[ \\t]*[^]+?[ \\t]+[^]+?)*\\)))'
  const reference = new RegExp(`^[ \\t]*${word}[ \\t]+(?<type>[^ \\t]+)\\.(?<method>[^ \\t]+?)[ \\t]*${parameters}${place}`, 'iu')

  it("is what ServiceControl's expression finds, for any line", () => {
    const piece = fc.constantFrom(
      '.',
      '(',
      ')',
      ',',
      ', ',
      ' ',
      '\t',
      'a',
      '/',
      ':',
      'at ',
      ' in /x',
      ':line 5',
      'b c',
      '.f',
      '()',
      '(a b)',
      ', c d',
    )
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), (pieces) => {
        const line = `at A.b${pieces.join('')}`
        const { type, method, parameters: list } = reference.exec(line)?.groups ?? {}

        assert.deepEqual(parseFrame(line), type === undefined ? undefined : { type, method, parameters: list })
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['E-7 one line of 1 MB', `   at ${'A.b(c d, '.repeat(120_000)}`],
    ['many lines at the limit that nearly fit', `   at A.b(${'c d, '.repeat(380)}\n`.repeat(500)],
    ['blanks alone', `at A.b(${' '.repeat(1900)}\n`.repeat(500)],
    ['dots and parentheses', `at ${'.('.repeat(950)} c\n`.repeat(500)],
  ])('does not hang on %s', (_, text) => assert.equal(firstFrame(text), undefined))
})
