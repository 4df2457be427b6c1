import { AsyncLocalStorage } from 'node:async_hooks'
import type { Engine } from './engine.ts'

// Following async context costs every promise of the process, so it starts with the first endpoint that can request.
let handling: AsyncLocalStorage<Engine> | undefined

/** Runs a handler so that a request made inside it, however deep, can be refused. */
export function insideHandler<T>(engine: Engine, run: () => T): T {
  if (!engine.callbacks) return run()
  handling ??= new AsyncLocalStorage()
  return handling.run(engine, run)
}

/** True while a handler of this endpoint is running further up the (async) call stack. */
export function isInsideHandler(engine: Engine): boolean {
  return handling?.getStore() === engine
}
