import { type CallSite, placeText } from './call-site.ts'

/** What a context can do that leads to an outgoing message. */
export type OperationName = 'send' | 'sendLocal' | 'publish' | 'reply' | 'replyEnum' | 'forwardCurrentMessageTo'

/** The promise of an outgoing operation that knows whether anybody awaited it. */
export class Operation extends Promise<void> {
  // `then` and `catch` give plain promises; without this each of them would be an operation of its own.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  name = ''
  site: CallSite | undefined = undefined
  awaited = false
  settled = false
  failure: unknown = undefined

  /** Runs at once; what `run` throws rejects the operation. */
  static start(name: string, site: CallSite | undefined, run: () => Promise<void | undefined> | undefined): Operation {
    const operation = new Operation((resolve, reject) => {
      try {
        const running = run()
        if (running) running.then(() => resolve(), reject)
        else resolve()
      } catch (error) {
        reject(error as Error)
      }
    })
    operation.name = name
    operation.site = site
    // Nobody may be listening, and an unheard rejection would end the process instead of failing the message.
    void super.prototype.then.call(
      operation,
      () => {
        operation.settled = true
      },
      (error: unknown) => {
        operation.settled = true
        operation.failure = error
      },
    )
    return operation
  }

  /** `context.send(...) at Handler.handle (/shop/handlers.ts:7:13)` */
  get call(): string {
    return `context.${this.name}(...)${placeText(this.site)}`
  }

  // oxlint-disable-next-line unicorn/no-thenable -- this is how awaiting is noticed
  override then<A = void, B = never>(
    onfulfilled?: ((value: void) => A | PromiseLike<A>) | null,
    onrejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.awaited = true
    return super.then(onfulfilled, onrejected)
  }
}
