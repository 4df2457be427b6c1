import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { timesOf } from '../support/killed-replay.ts'
import { startNsb } from '../support/running-nsb.ts'

/** An error queue whose messages are edited one after the other, and what can be seen of it. */
export interface EditWorld {
  /** Where commands run. */
  readonly folder: string
  readonly state: string
  readonly env: Readonly<Record<string, string>>
  /** Puts a failure with this id into the error queue. */
  fill(id: string): Promise<void>
  /** Takes everything out of the queues. @returns bodies */
  drain(): Promise<{ readonly error: readonly string[]; readonly target: readonly string[] }>
}

/** What became of all edits. */
export interface EditAccount {
  readonly kills: number
  /** Of those the ones that met an edit in its work. */
  readonly met: number
  /** Neither the original nor its copy is in a queue, or one of them is gone without being in the archive. */
  readonly lost: number
  /** Copies beyond one of each message. */
  readonly sentTwice: number
  /** The original and its copy are both there, and resume did not say so. */
  readonly unannounced: number
  /** It did. */
  readonly announced: number
}

/** Kills an edit at a random moment, resumes it, and looks where everything is. */
export async function killEdits(world: EditWorld, kills: number): Promise<EditAccount> {
  let [met, lost, sentTwice, unannounced, announced] = [0, 0, 0, 0, 0]
  for (let round = 0; round < kills; round++) {
    const id = `m${round}`
    await world.fill(id)
    const edit = startNsb(['errors', 'edit', id, '--merge', '{"edited":true}', '--yes'], world.folder, world.env)
    // The beginning of the command is the same for all; what matters comes in the last milliseconds.
    const archive = join(world.state, 'archive', 'default', 'error')
    const lines = (): number => archivedIn(archive).length
    const before = lines()
    await expect.poll(() => lines() > before || edit.stderr.includes('Error'), { timeout: 20_000, interval: 1 }).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 12))
    edit.kill('SIGKILL')
    if ((await edit.ended) === null) met++

    const said = await resume(world)
    const { error, target } = await world.drain()
    const copies = target.filter((body) => body.includes('edited')).length
    const isOriginalThere = error.includes(bodyOf(id))
    if (timesOf(target).size !== target.length) sentTwice++
    if (copies + (isOriginalThere ? 1 : 0) === 0 || !archivedIn(archive).some((line) => line.includes(`"messageId":"${id}"`))) lost++
    if (copies === 0 || !isOriginalThere) continue
    if (said.includes('may have been sent')) announced++
    else unannounced++
  }
  return { kills, met, lost, sentTwice, unannounced, announced }
}

export const bodyOf = (id: string): string => `{"OrderId":"${id}"}`

function archivedIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean))
}

/** Goes on with what can be gone on with. @returns what was said */
async function resume({ env, folder }: EditWorld): Promise<string> {
  let said = ''
  await expect
    .poll(
      async () => {
        const resuming = startNsb(['errors', 'resume', '--yes'], folder, env)
        const code = await resuming.ended
        said += resuming.stderr + resuming.stdout
        // 3: uncertain, and it says so. 4: it was over, or had not begun. 6: the broker has not noticed yet that nobody is there any more.
        return code === 0 || code === 3 || code === 4 ? true : code === 6 ? false : resuming.stderr
      },
      { timeout: 60_000, interval: 100 },
    )
    .toBe(true)
  return said
}

const inCampaign = process.env['NSB_CAMPAIGN'] === '1'

/** The short form is a test like others; the long one takes minutes. */
export const editKills = inCampaign ? Number(process.env['NSB_CAMPAIGN_KILLS'] ?? 100) : 3
