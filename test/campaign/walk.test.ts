import { describe, expect, it } from 'vitest'
import { Walk, type WalkedName, walkedCommands } from './walk.ts'

const inCampaign = process.env['NSB_CAMPAIGN'] === '1'
/** Only this one, to look closely at it. */
const chosen = process.env['NSB_CAMPAIGN_COMMAND']
/** The short form is a test like others: a command is killed at one place of its work. */
const place = 0.7

const names = (Object.keys(walkedCommands) as WalkedName[]).filter((name) => chosen === undefined || name === chosen)

describe('a command that is killed before one of its calls of the file system', () => {
  it.each(names)(
    'E-24 %s: whatever call that is, nothing is lost, nothing stays behind, and what a resume says is what it did',
    { timeout: 36_000_000 },
    async (name) => {
      const calls = await new Walk(name).calls()
      const numbers = inCampaign ? Array.from({ length: calls }, (_, index) => index + 1) : [Math.round(calls * place)]
      const wrong: string[] = []
      for (const number of numbers) {
        const undo = walkedCommands[name].canBeUndone && number % 3 === 0
        wrong.push(...(await new Walk(name).run(number, { undo, looksFirst: number % 2 === 0 })))
      }

      if (inCampaign) console.log(JSON.stringify({ command: name, kills: numbers.length, wrong: wrong.length }))
      expect(wrong).toEqual([])
    },
  )

  // Issue 14: what is taken and not removed is not seen, and seeing nothing was taken for being done.
  it.each([
    [3, 'moved', false],
    [3, 'moved', true],
    [9, 'sent', false],
    [9, 'sent', true],
  ])(
    'E-24 a staged replay killed before its rmdir %i, between taking and removing what was %s, is finished; undone: %s',
    async (number, _, undo) => {
      const wrong = await new Walk('replay --staged').run(number, { call: 'rmdirSync', undo })

      expect(wrong).toEqual([])
    },
  )
})
