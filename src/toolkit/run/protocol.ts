import type { RunSummary } from './run.ts'

/** What `nsb run` says to a process of an endpoint. */
export type ToEndpoint =
  | { readonly kind: 'stop'; readonly graceMs: number }
  | { readonly kind: 'pause'; readonly paused: boolean }
  /** The answer to `confirm`; a no is not sent, the process is ended. */
  | { readonly kind: 'confirmed' }

/** What the process of an endpoint says. */
export type FromEndpoint =
  | { readonly kind: 'ready'; readonly endpoint: string }
  | Settled
  | { readonly kind: 'idle'; readonly idle: boolean }
  | { readonly kind: 'paused' }
  | { readonly kind: 'confirm'; readonly question: string; readonly typed?: string | undefined }
  | Refusal
  /** The last word of a process that ends as it should. */
  | { readonly kind: 'ended' }

/** One message was handled, or failed, or will be tried again. */
export interface Settled {
  readonly kind: 'settled'
  readonly outcome: keyof RunSummary
  /** Of a message that was moved to the error queue. */
  readonly failure?: { readonly uniqueId: string; readonly errorQueue: string } | undefined
}

/** An endpoint that cannot start. */
export interface Refusal {
  readonly kind: 'refused'
  readonly exitCode: number
  /** For people, with colours. */
  readonly text: string
  /** For scripts. */
  readonly error: Readonly<Record<string, unknown>>
  /** Changing a file may help. */
  readonly inCode: boolean
}
