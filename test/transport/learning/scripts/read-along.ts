/** Reads a queue folder again and again, as fast as it can, until it has seen so many messages. */
import { readFileSync, readdirSync } from 'node:fs'

const [storage, queue, count] = process.argv.slice(2) as [string, string, string]
const seen = new Set<string>()
let broken = 0

process.stdout.write('ready\n')
while (seen.size < Number(count))
  for (const name of readdirSync(`${storage}/${queue}`)) {
    if (name.startsWith('.') || seen.has(name)) continue
    try {
      const headers: Record<string, string> = JSON.parse(readFileSync(`${storage}/${queue}/${name}`, 'utf8'))
      const body = readFileSync(`${storage}/${queue}/.bodies/${name.replace('.metadata.txt', '.body.txt')}`, 'utf8')
      if (headers['NServiceBus.MessageId'] !== body) broken++
    } catch {
      broken++
    }
    seen.add(name)
  }
process.stdout.write(`read ${seen.size}, broken ${broken}\n`)
