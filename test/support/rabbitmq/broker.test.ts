import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../../cli/nsb.ts'
import { removeLeftBrokers } from '../broker.ts'

const longAgo = new Date(Date.now() - 3_600_000)

function brokerFolder(parent: string, name: string, owner?: number): string {
  const folder = join(parent, name)
  mkdirSync(join(folder, 'data'), { recursive: true })
  if (owner !== undefined) writeFileSync(join(folder, 'owner'), String(owner))
  utimesSync(folder, longAgo, longAgo)
  return folder
}

/** A process of a broker, by its environment. */
function processOf(folder: string): ChildProcess {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { env: { HOME: `${folder}/home` } })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Of a process that has ended. */
async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'])
  await new Promise((resolve) => child.once('close', resolve))
  return child.pid as number
}

it('what killed test runs left of their brokers is removed, and nothing else', async () => {
  const parent = temporaryFolder()
  const ended = await endedProcess()
  brokerFolder(parent, 'nsb-broker-left', ended)
  brokerFolder(parent, 'nsb-broker-older')
  brokerFolder(parent, 'nsb-broker-stopped', process.pid)
  mkdirSync(join(parent, 'nsb-broker-new'))
  brokerFolder(parent, 'something-else', ended)
  const child = processOf(brokerFolder(parent, 'nsb-broker-living', ended))
  await new Promise((resolve) => child.once('spawn', resolve))

  removeLeftBrokers(parent)

  expect(readdirSync(parent).toSorted()).toEqual(['nsb-broker-living', 'nsb-broker-new', 'nsb-broker-stopped', 'something-else'])
})
