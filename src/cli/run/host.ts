import type { Project } from '../../toolkit/project.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Confirmation } from '../ask.ts'
import type { Colours } from '../colour.ts'

/** What a run needs of the command line it belongs to: its streams, its project and its end. */
export interface RunHost {
  readonly colour: { readonly out: Colours; readonly err: Colours }
  readonly verbosity: 0 | 1 | 2
  /** `--storage`, or its variable. */
  readonly storage: string | undefined
  /** `--connection`, the line that it reads from stdin, or its variable. */
  readonly connection: string | undefined
  /** Ctrl-C, SIGTERM, or nobody reads any more. */
  readonly signal: AbortSignal
  note(this: void, text: string): void
  detail(this: void, text: string): void
  warning(this: void, text: string): void
  project(this: void): Promise<Project>
  /** The error queue that the command line names; undefined: that of the project. */
  errorQueue(this: void): Promise<string | undefined>
  /** @param endpoint whose connections a broker shows */
  openTransport(this: void, endpoint: string): Promise<{ readonly transport: Transport; readonly where: string }>
  confirm(this: void, question: string, options: Confirmation): Promise<void>
  atEnd(this: void, close: () => Promise<void>): void
  /** Ends with this exit code. */
  finish(this: void, code: number): void
}
