import { Flags } from '@oclif/core'
import type { BrowseOptions, Browsed } from '../../toolkit/errors/browse.ts'
import type { Criteria } from '../../toolkit/errors/select.ts'
import { BaseCommand } from '../base-command.ts'
import { type SelectionChoice, criteriaFrom } from '../selection-flags.ts'

/** Messages an errors command holds at most, since a broker keeps what is held in memory. */
export const maxHoldFlag = Flags.integer({
  default: 100_000,
  min: 1,
  helpGroup: 'CONNECTION',
  helpValue: '<n>',
  summary: 'messages held at most',
})

/** What the errors commands share: the criteria, the overruled safety rules, what is said about the queue. */
export abstract class ErrorsCommand extends BaseCommand {
  protected criteria(flags: SelectionChoice, ids: readonly string[] = []): Promise<Criteria> {
    return criteriaFrom(flags, ids)
  }

  /** `--force` overrules every rule an errors command may run into. */
  protected get overrule(): readonly string[] {
    return this.globals.force === true ? ['NSB_QUEUE_HAS_CONSUMER', 'NSB_QUEUE_LOCKED', 'NSB_LOOKS_EXHAUSTED'] : []
  }

  protected browseOptions(queue: string, criteria: Criteria, maxHold: number): BrowseOptions {
    return { queue, criteria, maxHold, now: Date.now(), overrule: this.overrule, signal: this.signal }
  }

  /** Says what the reader of a list must know about the queue. */
  protected noteFacts(queue: string, { facts, unread }: Pick<Browsed, 'facts' | 'unread'>, maxHold: number): void {
    if (facts === undefined) return this.detail(`there is no queue '${queue}': nothing failed yet`)
    if (facts.depth > maxHold && unread === 0)
      this.warning(`'${queue}' has ${facts.depth} messages, of which ${maxHold} were read (--max-hold)`)
    if (typeof facts.consumers === 'number' && facts.consumers > 0 && facts.kind !== 'folder')
      this.warning(`'${queue}' has ${facts.consumers} consumer${facts.consumers > 1 ? 's' : ''}, so the list may be incomplete`)
  }

  protected async profileName(): Promise<string> {
    return (await this.connection()).profile.value
  }

  /** `queue` for one error queue, `queues` for several. */
  protected queueFields(queues: readonly string[]): { queue: string } | { queues: readonly string[] } {
    return queues.length === 1 ? { queue: queues[0] as string } : { queues }
  }
}

export const shortIdLength = 8
export const shortId = (id: string): string => id.slice(0, shortIdLength)
