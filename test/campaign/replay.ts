import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { startNsb } from '../support/running-nsb.ts'
import { timesOf } from '../support/killed-replay.ts'

/** An error queue that is replayed again and again, and what can be seen of it. */
export interface ReplayWorld {
  /** Where commands run. */
  readonly folder: string
  /** With a state folder. */
  readonly env: Readonly<Record<string, string>>
  /** Puts failures with these ids into the error queue. */
  fill(ids: readonly string[]): Promise<void>
  /** Takes everything out of the queues. @returns the ids that are in each, as often as they are there */
  drain(): Promise<{ readonly error: readonly string[]; readonly target: readonly string[] }>
}

/** What became of all messages. */
export interface ReplayAccount {
  readonly kills: number
  /** Of those the ones that met a replay in its work. */
  readonly met: number
  readonly messages: number
  readonly lost: number
  /** Copies beyond one of each message. */
  readonly twice: number
  /** Messages with more copies than one, and one for each kill. */
  readonly oftener: number
  /** As `errors resume` said it: so many at most may arrive twice. */
  readonly announced: number
  readonly left: number
}

const perRound = 300

export interface KillOptions {
  /** Of the replays, beside those that select everything. */
  readonly flags?: readonly string[]
  /** A replay is killed so long after its journal began, at most. */
  readonly withinMs?: number
}

/** Kills a replay of everything at a random moment, and every third time the resume as well; then everything has to be where it belongs. */
export async function killReplays(
  world: ReplayWorld,
  kills: number,
  { flags = [], withinMs = 120 }: KillOptions = {},
): Promise<ReplayAccount> {
  let [killed, met, messages, lost, twice, oftener, announced, left] = [0, 0, 0, 0, 0, 0, 0, 0]
  const operations = join(world.env['NSB_STATE_DIR'] as string, 'operations')
  const journals = (): number => (existsSync(operations) ? readdirSync(operations).length : 0)
  for (let round = 0; killed < kills; round++) {
    const ids = Array.from({ length: perRound }, (_, index) => `r${round}m${index}`)
    await world.fill(ids)
    messages += ids.length
    const [before, killedBefore] = [journals(), killed]
    const replay = startNsb(['errors', 'replay', '--all', '--yes', ...flags], world.folder, world.env)
    await expect.poll(() => journals() > before || replay.stderr.includes('Error'), { timeout: 20_000, interval: 1 }).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * withinMs))
    replay.kill('SIGKILL')
    if ((await replay.ended) === null) met++
    killed++

    let [announcedNow, isOver, isResumeKilled] = [0, false, round % 3 !== 2]
    await expect
      .poll(
        async () => {
          const resume = startNsb(['errors', 'resume', '--yes'], world.folder, world.env)
          if (!isResumeKilled && killed < kills) {
            isResumeKilled = true
            await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 700))
            resume.kill('SIGKILL')
            killed++
          }
          const code = await resume.ended
          announcedNow += Number(/up to (\d+) messages? may arrive twice:/.exec(resume.stderr)?.[1] ?? 0)
          // 4: it was over before it was killed. 6: the broker has not noticed yet that nobody is there any more.
          isOver = code === 0 || code === 4
          return isOver || code === 6 || code === null ? isOver : resume.stderr
        },
        { timeout: 60_000, interval: 100 },
      )
      .toBe(true)

    const { error, target } = await world.drain()
    const times = timesOf(target)
    lost += ids.filter((id) => !times.has(id) && !error.includes(id)).length
    const twiceNow = target.length - times.size
    expect(twiceNow, `round ${round}: arrived twice without having been announced`).toBeLessThanOrEqual(announcedNow)
    twice += twiceNow
    oftener += [...times.values()].filter((sent) => sent > 1 + killed - killedBefore).length
    announced += announcedNow
    left += error.length
  }
  return { kills: killed, met, messages, lost, twice, oftener, announced, left }
}

const inCampaign = process.env['NSB_CAMPAIGN'] === '1'

/** The short form is a test like others; the long one takes minutes. */
export const replayKills = inCampaign ? Number(process.env['NSB_CAMPAIGN_KILLS'] ?? 100) : 3
