import { identityOf } from '../../../message/failure.ts'
import { NsbError, errorText } from '../../../message/nsb-error.ts'
import type { HeldMessage } from '../../../transport/transport.ts'
import { type PlannedMessage, type ReplayPlan, type Selected, mostItems } from '../replay/plan.ts'
import type { Patching } from './patching.ts'

/** A message that a patch does not fit. */
export interface Unfit extends Pick<PlannedMessage, 'uniqueId' | 'failedAt' | 'contentMark'> {
  readonly error: { readonly code: string; readonly message: string }
}

/** Finds out, while a plan is made, which messages a patch does not fit; of a million it names {@link mostItems}. */
export class TriedPatch {
  readonly #patching: Patching
  readonly #unfit = new Map<string, Unfit>()

  constructor(patching: Patching) {
    this.#patching = patching
  }

  readonly look: Selected = async (message: HeldMessage, failed) => {
    if (this.#unfit.size >= mostItems) return
    try {
      await this.#patching.try(message, failed)
    } catch (error) {
      const { contentMark, failedAt, uniqueId } = failed
      const code = error instanceof NsbError ? error.code : 'NSB_UNEXPECTED'
      this.#unfit.set(identityOf(failed), { uniqueId, failedAt, contentMark, error: { code, message: errorText(error) } })
    }
  }

  /** Those that the plan takes. */
  of({ wanted }: ReplayPlan): readonly Unfit[] {
    return [...this.#unfit.values()].filter((each) => wanted.has(each))
  }
}
