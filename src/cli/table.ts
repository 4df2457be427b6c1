import { printableLine } from './printable.ts'

/** One column of a table; also what `--columns`, `--sort` and csv know it by. */
export interface Column<Row> {
  /** Lower-case name; the header is its upper case. */
  readonly name: string
  /** The value on one line, as pipes get it. */
  readonly value: (row: Row) => string | number | undefined
  /** All of it, where that may be more than a line: what csv gets. */
  readonly whole?: (row: Row) => string | number | undefined
  /** What `--sort` compares where that is not the value. */
  readonly order?: (row: Row) => string | number | undefined
  /** What a terminal shows instead, such as a short id or a relative time. */
  readonly short?: (row: Row) => string
  /** What a table shows where there is no value; default –. */
  readonly absent?: string
  readonly align?: 'right'
  /** Only shown by `-o wide`, `--columns` and csv. */
  readonly wide?: boolean
}

export interface TableStyle {
  /** Width to cut the last column to; undefined: never cut. */
  readonly width: number | undefined
  /** Use the short forms. */
  readonly short: boolean
  readonly header: boolean
  readonly paintHeader: (text: string) => string
}

const nothing = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((part) => [part, '']),
)
const style = { 'padding-left': 0, 'padding-right': 2, head: [], border: [], compact: true }

/** The library compares each cell with all rows before it, so it is given so many at once, and the widths that all of them need. */
const together = 25

const ellipsis = '…'

/** A name in a message may have any length, every other row would be padded to it, and the library takes the square of it. */
const widestBeforeLast = 500

/** Draws a table without borders: header in upper case, two blanks between columns, nothing wrapped. */
export async function drawTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[], style: TableStyle): Promise<string> {
  const last = columns.length - 1
  const widest = Math.min(style.width ?? widestBeforeLast, widestBeforeLast)
  const texts = rows.map((row) =>
    columns.map((column, index) => {
      const text = style.short && column.short !== undefined ? column.short(row) : String(column.value(row) ?? column.absent ?? '–')
      return index === last ? printableLine(text) : cut(printableLine(text), widest)
    }),
  )
  const head = columns.map((column) => column.name.toUpperCase())
  const fitting = style.width === undefined ? texts : cutLastColumn(head, texts, style.width)
  const lines = await laidOut(style.header ? [head, ...fitting] : fitting, columns)
  if (style.header && lines.length > 0) lines[0] = style.paintHeader(lines[0] as string)
  return lines.join('\n')
}

/** One line for each row. Text at the end of a line needs no room to be made for it, however long it is. */
async function laidOut<Row>(rows: readonly (readonly string[])[], columns: readonly Column<Row>[]): Promise<string[]> {
  const last = columns.length - 1
  const aligned = columns[last]?.align === 'right' ? columns.length : last
  const before = aligned === 0 ? rows.map(() => '') : await aligning(rows, columns, aligned)
  return rows.map((row, index) => `${before[index] ?? ''}${row.slice(aligned).join('')}`.trimEnd())
}

/** The first columns of each row, as wide as the widest of them, and two blanks. */
async function aligning<Row>(
  rows: readonly (readonly string[])[],
  columns: readonly Column<Row>[],
  count: number,
): Promise<readonly string[]> {
  const { default: Table } = await import('cli-table3')
  const colAligns = columns.slice(0, count).map((column) => column.align ?? 'left')
  const parts = Array.from({ length: Math.ceil(rows.length / together) }, (_, part) =>
    rows.slice(part * together, (part + 1) * together).map((row) => row.slice(0, count)),
  )
  const draw = (part: string[][], colWidths: number[]): { readonly text: string; readonly widths: readonly number[] } => {
    const table = new Table({ chars: nothing, style, colAligns, colWidths })
    table.push(...part)
    // Drawing it fills in the widths that were not given.
    return { text: table.toString(), widths: colWidths }
  }
  const widest = parts.map((part) => draw(part, []).widths)
  const colWidths = colAligns.map((_, column) => widest.reduce((most, widths) => Math.max(most, widths[column] as number), 0))
  return parts.flatMap((part) => draw(part, [...colWidths]).text.split('\n'))
}

function cutLastColumn(head: readonly string[], rows: readonly string[][], width: number): string[][] {
  const last = head.length - 1
  const before = head
    .slice(0, last)
    .reduce((sum, name, index) => sum + rows.reduce((widest, row) => Math.max(widest, (row[index] as string).length), name.length) + 2, 0)
  const room = Math.max(8, width - before)
  return rows.map((row) => row.map((text, index) => (index === last ? cut(text, room) : text)))
}

function cut(text: string, room: number): string {
  if (text.length <= room) return text
  // No half of a character.
  return `${text.slice(0, room - 1).replace(/[\ud800-\udbff]$/, '')}${ellipsis}`
}
