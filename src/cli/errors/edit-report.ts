import { Header } from '../../message/headers.ts'
import type { Shown } from '../../toolkit/errors/browse/browse.ts'
import type { Attempt } from '../../toolkit/errors/edit/attempt.ts'
import { bodyText } from '../../toolkit/errors/edit/edit-text.ts'
import { textOf } from '../../toolkit/errors/edit/editable.ts'
import { type EditMarks, type Edited, editedMessage } from '../../toolkit/errors/edit/edited-message.ts'
import type { Colours } from '../colour.ts'
import { printableLine } from '../printable.ts'
import { diffLines } from './edit-diff.ts'

/** What a change does to headers and body, as a diff. */
export function changeLines(message: Edited, { edited, headers, isBodyChanged }: Attempt, colours: Colours): readonly string[] {
  const before = { headers: message.headers, body: isBodyChanged ? laidOut(message) : undefined }
  const after = { headers: edited.headers, body: isBodyChanged ? laidOut(edited) : undefined }
  return diffLines(before, after, headers.changed, colours)
}

/** What was there may be no text, and may have to be replaced for that. */
function laidOut(of: Edited): string {
  try {
    return bodyText(of).text
  } catch {
    return textOf(of.body)
  }
}

/** What a person should know of a change before saying yes. */
export function warningsOf({ failed, message }: Shown, { edited, headers }: Attempt, marks: EditMarks): readonly string[] {
  const copy = editedMessage(message, failed, edited, marks).headers
  const lost = headers.changed.filter((name) => edited.headers[name] !== undefined && copy[name] !== edited.headers[name])
  const isWish = !marks.staysFailed && edited.headers[Header.RetryTo] === marks.target && failed.queue !== marks.target
  return [
    ...headers.addedLocked.map((name) => `'${name}' is added: nobody but the platform sets it as a rule`),
    ...headers.sensitive.map((name) => `'${name}' is another one now: it says where messages go or come from`),
    ...lost.map((name) => `'${name}' has no effect: a message that is sent again does not keep it`),
    ...(isWish ? ['it goes where its ServiceControl.RetryTo header says, not where it failed'] : []),
  ]
}

export function editQuestion({ headers }: Attempt, { staysFailed, target }: EditMarks, queue: string): string {
  const sensitive = headers.sensitive.length === 0 ? '' : `${headers.sensitive.map(printableLine).join(', ')} will be another one. `
  return staysFailed
    ? `${sensitive}Put the edited message into '${printableLine(queue)}' in the place of the original?`
    : `${sensitive}Send the edited message to '${printableLine(target)}' and remove the original from '${printableLine(queue)}'?`
}
