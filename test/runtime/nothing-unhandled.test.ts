import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { compiled } from '../support/compiled.ts'

const script = fileURLToPath(new URL('scripts/nothing-unhandled.ts', import.meta.url))

/** In a process that ends with the first promise that nobody handles, and with the first warning. */
function play(scene: string): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stderr, stdout } = spawnSync(process.execPath, ['--unhandled-rejections=strict', compiled(script), scene], {
    encoding: 'utf8',
    timeout: 50_000,
  })
  return { code: status, stdout, stderr }
}

describe('no promise is left unhandled, and no place in hand is lost', () => {
  it.each([
    ['loggers', 'when loggers and observers throw or reject', '10 handled, 10 failed'],
    ['abort', 'when a request is given up that the transport has not taken', 'Error: Ctrl-C'],
    ['critical', 'when the receiver of a reply fails at any moment', 'Error: the queue is gone, Error: the queue is gone'],
    ['listeners', 'when a thousand requests share a signal', '7000, NSB_CALLBACK_CANCELLED, 0 pending'],
  ])('%s: %s', (scene, _when, outcome) => {
    const played = play(scene)

    expect(played.stdout, played.stderr).toBe(outcome)
    expect(played.code).toBe(0)
    expect(played.stderr.replaceAll(/^warn nsb: A logger or an observer failed: .*\n/gm, '')).toBe('')
  })

  it('start: an endpoint whose second queue is refused receives from none', () => {
    expect(play('start')).toMatchObject({ code: 0, stdout: 'Error: refused, 0 consumers, 1 waiting', stderr: '' })
  })
})
