import { parseFrame } from '../../toolkit/errors/select/stack-title.ts'
import { printableLine } from '../printable.ts'

/** One exception of a stack trace as .NET prints it, causes after what they caused. */
export interface StackedException {
  /** Type and message; of the outermost one without its further lines. */
  readonly title: string
  /** Its frames, as they are. */
  readonly frames: readonly string[]
}

/** What a person is shown of a stack trace. */
export interface FoldedStack {
  /** Own frames of the exception itself. */
  readonly own: readonly string[]
  /** The exceptions behind it with their own frames, the nearest first. */
  readonly causes: readonly StackedException[]
  readonly frameworkFrames: number
  /** Own frames and causes that are too many to be shown. */
  readonly omitted: number
}

const mostFrames = 30
const mostCauses = 10
const longestLine = 500

const beginsFrame = /^[ \t]*at[ \t]/
const beginsCause = /^[ \t]*---> ?/
const endsCause = /^[ \t]*--- End of inner exception/
const framework = /^[ \t]*at (?:async )?(?:new )?(?:System|Microsoft|NServiceBus|MassTransit|nsbus|node)[.:]/

/** The exceptions of a stack trace. Causes come before the frames of what they caused. */
export function stackedExceptions(stack: string): readonly StackedException[] {
  const all: { title: string; frames: string[] }[] = [{ title: '', frames: [] }]
  const open = [0]
  for (const line of stack.split('\n')) {
    const current = all[open.at(-1) as number] as (typeof all)[number]
    if (beginsCause.test(line)) {
      // Further exceptions of an aggregate are beside each other.
      if (line.includes('(Inner Exception #')) open.length = 1
      all.push({ title: line.replace(beginsCause, '').trim(), frames: [] })
      open.push(all.length - 1)
    } else if (endsCause.test(line)) {
      if (open.length > 1) open.pop()
    } else if (beginsFrame.test(line)) current.frames.push(line.trim())
    else if (current.title === '') current.title = line.trim()
  }
  return all
}

/** Own frames are shown, those of frameworks counted; every text is printable. */
export function foldedStack(stack: string): FoldedStack {
  const [outermost, ...causes] = stackedExceptions(stack)
  const isOwn = (frame: string): boolean => !framework.test(frame) && !frame.includes('/node_modules/') && !isInsideNode(frame)
  const ownOf = ({ frames }: StackedException): string[] => frames.filter(isOwn)
  let room = mostFrames
  const shown = (frames: readonly string[]): string[] => {
    const some = frames.slice(0, room)
    room -= some.length
    return some.map(frameText)
  }
  const every = [outermost as StackedException, ...causes]
  const frames = every.reduce((sum, each) => sum + each.frames.length, 0)
  const own = every.reduce((sum, each) => sum + ownOf(each).length, 0)
  const ownFrames = shown(ownOf(outermost as StackedException))
  const shownCauses = causes.slice(0, mostCauses).map((cause) => ({ title: shortLine(cause.title), frames: shown(ownOf(cause)) }))
  return {
    own: ownFrames,
    causes: shownCauses,
    frameworkFrames: frames - own,
    omitted: own - (mostFrames - room) + (causes.length - shownCauses.length),
  }
}

const isInsideNode = (frame: string): boolean => frame.includes('(node:') || frame.includes(' in node:')

/** The parameters say less than where it is. */
function frameText(frame: string): string {
  const parsed = frame.length > 2000 ? undefined : parseFrame(frame)
  const short = parsed === undefined || parsed.parameters === '()' ? frame : frame.replace(parsed.parameters, () => '(…)')
  return shortLine(short)
}

function shortLine(text: string): string {
  const line = printableLine(text.slice(0, 4 * longestLine))
  return line.length > longestLine ? `${line.slice(0, longestLine)}…` : line
}
