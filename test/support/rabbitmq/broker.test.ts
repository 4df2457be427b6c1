import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startBroker } from '../broker.ts'

/** Processes of the broker that listens on this port. */
function processesOf(port: number | string): readonly string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`RABBITMQ_NODENAME=nsb${port}@localhost`)
    } catch {
      // It has ended, or is somebody else's.
      return false
    }
  })
}

it('a broker ends with the test run that started it, also when that is killed', async () => {
  const script = join(import.meta.dirname, 'scripts/broker.ts')
  const run = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void run.kill('SIGKILL'))
  const [printed]: readonly unknown[] = await once(run.stdout, 'data')
  const port = String(printed).trim()
  expect(processesOf(port).length).toBeGreaterThan(0)

  run.kill('SIGKILL')

  await expect.poll(() => processesOf(port)).toEqual([])
})

it('a stopped broker starts again with its messages, and leaves no process when it is removed', async () => {
  const broker = await startBroker()
  onTestFinished(() => broker.remove())
  await broker.api('PUT', 'queues/%2F/kept', { durable: true })

  await broker.stop()
  await broker.start()

  expect(await broker.api('GET', 'queues/%2F/kept')).toMatchObject({ name: 'kept' })
  expect(await broker.control('list_queues', 'name')).toContain('kept')
  await broker.remove()
  // What its processes have started ends a moment after them.
  await expect.poll(() => processesOf(broker.port)).toEqual([])
})
