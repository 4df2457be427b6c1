import { Session } from 'node:inspector/promises'
import { regexpSteps } from './regexp-steps.ts'

interface Patched {
  readonly on: object
  readonly name: string
  /** What a call costs at most, in elements or characters that are looked at. */
  readonly cost: (self: { readonly length: number }, result: unknown, args: readonly unknown[]) => number
}

const whole = (self: { readonly length: number }): number => self.length
const upToFound: Patched['cost'] = (self, result, args) => {
  const from = typeof args[1] === 'number' ? Math.max(0, args[1]) : 0
  return typeof result === 'number' && result >= 0 ? result - from + 1 : Math.max(0, self.length - from)
}

/** Built-in functions that go through what they are given; blocks of code do not show them. */
const natives: readonly Patched[] = [
  ...['includes', 'slice', 'concat', 'shift', 'unshift', 'splice', 'join', 'toSorted', 'sort', 'toReversed', 'lastIndexOf'].map((name) => ({
    on: Array.prototype,
    name,
    cost: whole,
  })),
  { on: Array.prototype, name: 'indexOf', cost: upToFound },
  ...['includes', 'split', 'trim', 'trimEnd', 'replaceAll', 'toLowerCase', 'lastIndexOf'].map((name) => ({
    on: String.prototype,
    name,
    cost: whole,
  })),
  { on: String.prototype, name: 'indexOf', cost: upToFound },
  { on: JSON, name: 'parse', cost: (_, __, [text]) => String(text).length },
  { on: Object, name: 'keys', cost: (_, result) => (result as unknown[]).length },
  { on: Object, name: 'entries', cost: (_, result) => (result as unknown[]).length },
  { on: Object, name: 'fromEntries', cost: (_, result) => Object.getOwnPropertyNames(result).length },
]

/**
 * How many steps our code takes for something, and not how long: how often each of its blocks runs, by V8's own count, what built-in
 * searches and copies go through, and what regular expressions compare.
 */
export async function stepsOf(act: () => unknown): Promise<number> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  const counting = countNatives()
  try {
    await act()
  } finally {
    counting.end()
  }
  const { result } = await session.post('Profiler.takePreciseCoverage')
  await session.post('Profiler.stopPreciseCoverage')
  session.disconnect()
  const blocks = result
    .filter(({ url }) => /\/(?:src|commands)\/.*\.ts$/.test(url.replace(/\?.*$/, '')) || /\/node_modules\/(?:zod|json-p3)\//.test(url))
    .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges.map(({ count }) => count)))
  return blocks.reduce((sum, count) => sum + count, counting.steps)
}

function countNatives(): { readonly steps: number; end(): void } {
  const originals: { readonly on: object; readonly name: string; readonly value: unknown }[] = []
  let steps = 0
  // What counts uses the same functions.
  let isCounting = false
  const replace = (on: object, name: string, make: (original: (...args: unknown[]) => unknown) => unknown): void => {
    const value = (on as Record<string, unknown>)[name]
    originals.push({ on, name, value })
    Object.defineProperty(on, name, { value: make(value as never), writable: true, configurable: true, enumerable: false })
  }
  const counted = (count: () => number): void => {
    if (isCounting) return
    isCounting = true
    try {
      steps += count()
    } finally {
      isCounting = false
    }
  }
  for (const { cost, name, on } of natives)
    replace(
      on,
      name,
      (original) =>
        function (this: { readonly length: number }, ...args: unknown[]) {
          const before = isCounting || on === JSON || on === Object ? 0 : (this?.length ?? 0)
          const result = original.apply(this as never, args)
          counted(() => cost({ length: before }, result, args))
          return result
        },
    )
  replace(
    RegExp.prototype,
    'exec',
    (original) =>
      function (this: RegExp, text: unknown) {
        counted(() => regexpSteps(this, String(text)))
        return original.call(this as never, text)
      },
  )
  return {
    get steps() {
      return steps
    },
    end() {
      for (const { name, on, value } of originals)
        Object.defineProperty(on, name, { value, writable: true, configurable: true, enumerable: false })
    },
  }
}
