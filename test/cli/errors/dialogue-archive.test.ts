import { describe, expect, it, onTestFinished } from 'vitest'
import { noColours } from '../../../src/cli/colour.ts'
import { archiveInDialogue } from '../../../src/cli/errors/dialogue-archive.ts'
import type { DialogueParts } from '../../../src/cli/errors/interactive.ts'
import { openOperations } from '../../../src/toolkit/errors/journal/operations.ts'
import { learningTransport } from '../../../src/transport/learning/transport.ts'
import type { Holding, Transport } from '../../../src/transport/transport.ts'
import { failureHeaders, putMessage } from '../../cli/nsb.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** The same, with some of its methods replaced. */
function withMethods<T extends object>(of: T, methods: Partial<T>): T {
  return new Proxy(of, {
    get(target, name) {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** Its connection is gone when messages are given back. */
function cut(transport: Transport): Transport {
  const hold: Transport['hold'] = async (queue, options) => {
    const holding = await transport.hold(queue, options)
    const giveBack: Holding['giveBack'] = async () => ({ ...(await holding.giveBack()), interrupted: true })
    return withMethods(holding, { giveBack })
  }
  return withMethods(transport, { hold })
}

describe('an archive in the dialogue', () => {
  it('that is interrupted can be resumed and says so, as the command does', async () => {
    const [storage, stateFolder] = [tempFolder(), tempFolder()]
    for (const id of ['m1', 'm2']) putMessage(storage, 'error', id, failureHeaders(id))
    const transport = learningTransport({ storage })
    onTestFinished(() => transport.close())
    const warnings: string[] = []
    const { signal } = new AbortController()
    const parts: DialogueParts = {
      transport: cut(transport),
      queue: 'error',
      criteria: {},
      by: 'exception',
      signal,
      colours: { out: noColours, err: noColours },
      browse: () => expect.fail('nothing is looked at'),
      replayOptions: () => expect.fail('nothing is replayed'),
      journalPlace: async () => ({ stateFolder, where: 'here', profile: 'default', identity: 'here' }) as never,
      beforeChange: async () => undefined,
      placed: (command) => command,
      confirm: async () => undefined,
      out: () => undefined,
      note: () => undefined,
      warning: (text) => void warnings.push(text),
    }
    const options = {
      queue: 'error',
      criteria: {},
      limit: 2,
      newest: false,
      duplicates: false,
      now: Date.now(),
      overrule: [],
      maxHold: 100,
      signal,
    }

    await archiveInDialogue(parts, options, undefined)

    const [open] = await openOperations(stateFolder)
    expect(open).toMatchObject({ command: 'archive', queue: 'error' })
    expect(warnings).toEqual([`the last ones may be in 'error' still: nsb errors resume ${open?.operation} removes them`])
  })
})
