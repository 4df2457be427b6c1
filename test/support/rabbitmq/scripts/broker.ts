import { startBroker } from '../../broker.ts'

// Prints where its broker listens, and stays until it is killed.
const broker = await startBroker()
process.stdout.write(`${broker.port}\n`)
setInterval(() => undefined, 60_000)
