/** The few colours nsb uses; meaning is never carried by them alone. */
export interface Colours {
  readonly failure: (text: string) => string
  readonly warning: (text: string) => string
  readonly done: (text: string) => string
  /** Metadata. */
  readonly dim: (text: string) => string
  /** Commands to copy. */
  readonly command: (text: string) => string
  readonly bold: (text: string) => string
}

const plain = (text: string): string => text

export const noColours: Colours = { failure: plain, warning: plain, done: plain, dim: plain, command: plain, bold: plain }

/** Flag before NO_COLOR before FORCE_COLOR before the terminal test, for one stream. */
export function wantsColour(noColorFlag: boolean, env: NodeJS.ProcessEnv, isTTY: boolean): boolean {
  if (noColorFlag) return false
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false
  const force = env['FORCE_COLOR']
  if (force !== undefined) return force !== '0' && force !== 'false'
  return isTTY && env['TERM'] !== 'dumb'
}

/** Loads chalk only when there is something to colour. */
export async function coloursFor(wanted: boolean): Promise<Colours> {
  if (!wanted) return noColours
  const { Chalk } = await import('chalk')
  const chalk = new Chalk({ level: 1 })
  return { failure: chalk.red, warning: chalk.yellow, done: chalk.green, dim: chalk.dim, command: chalk.cyan, bold: chalk.bold }
}
