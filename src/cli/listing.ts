import { idWord } from '../message/ids.ts'
import { NsbError } from '../message/nsb-error.ts'
import { nearest } from '../message/nearest.ts'
import { printableJson, withoutControls } from './printable.ts'
import type { Column } from './table.ts'

/** Values of the listing flags. */
export interface ListingChoice {
  readonly output?: string | undefined
  readonly columns?: string | undefined
  readonly sort?: string | undefined
  readonly 'no-header'?: boolean
  readonly 'no-truncate'?: boolean
}

/**
 * The columns to show: those of `--columns`, all with `wide` and `csv`, else the narrow ones.
 *
 * @throws {NsbError} NSB_UNKNOWN_COLUMN
 */
export function chosenColumns<Row>(columns: readonly Column<Row>[], choice: ListingChoice): readonly Column<Row>[] {
  if (choice.columns !== undefined) return choice.columns.split(',').map((name) => columnNamed(columns, name.trim()))
  return choice.output === 'wide' || choice.output === 'csv' ? columns : columns.filter((column) => column.wide !== true)
}

/** The rows in the order of `--sort`, else as they are; so are those that are alike in it. @throws {NsbError} NSB_UNKNOWN_COLUMN */
export function sortedRows<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sort: string | undefined): readonly Row[] {
  const order = rowOrder(columns, sort)
  return order === undefined ? rows : rows.toSorted(order)
}

/** The order of `--sort`; undefined: none was asked for. @throws {NsbError} NSB_UNKNOWN_COLUMN */
export function rowOrder<Row>(columns: readonly Column<Row>[], sort: string | undefined): ((a: Row, b: Row) => number) | undefined {
  if (sort === undefined) return undefined
  const descending = sort.startsWith('-')
  const { order, value } = columnNamed(columns, descending ? sort.slice(1) : sort)
  const key = order ?? value
  return (a, b) => {
    const [left, right] = [key(a), key(b)]
    // What has no value comes last, in either direction.
    if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined)
    return descending ? compare(right, left) : compare(left, right)
  }
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [String(a), String(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

function columnNamed<Row>(columns: readonly Column<Row>[], name: string): Column<Row> {
  const found = columns.find((column) => column.name === name.toLowerCase())
  if (found !== undefined) return found
  const names = columns.map((column) => column.name)
  throw new NsbError({
    code: 'NSB_UNKNOWN_COLUMN',
    message: `There is no column '${name}'. Columns: ${names.join(', ')}.`,
    suggestions: nearest(name, names).slice(0, 1),
  })
}

/**
 * Comma separated values with a header line. A text that a spreadsheet would take for a formula has an apostrophe before it; control
 * characters but tabs and line breaks are written as `\xNN`.
 *
 * @source RFC 4180, with LF
 */
export function csvLines<Row>(rows: readonly Row[], columns: readonly Column<Row>[], header: boolean): string[] {
  const lines = rows.map((row) => csvLine(row, columns))
  return header ? [csvHeader(columns), ...lines] : lines
}

function csvHeader<Row>(columns: readonly Column<Row>[]): string {
  return columns.map((column) => column.name).join(',')
}

function csvLine<Row>(row: Row, columns: readonly Column<Row>[]): string {
  return columns.map(({ value, whole = value }) => csvCell(whole(row))).join(',')
}

function csvCell(value: string | number | undefined): string {
  const given = String(value ?? '')
  // A text comes from a message, and a spreadsheet would calculate it.
  const text = withoutControls(typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${given}` : given)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A list that is written row by row. */
export interface StreamedList<Row> {
  row(row: Row): void
  /** Writes what is still to be written, and the last line where there is one. */
  end(summary: object): void
}

const chunkSize = 64 * 1024

/**
 * Writes ids, ndjson or csv as the rows come, in chunks, so that a million of them need no memory.
 *
 * @param as as for {@link ListingChoice}: what a row is in ids and in ndjson
 * @returns undefined: in this form, or in this order, all rows have to be known first
 * @throws {NsbError} NSB_UNKNOWN_COLUMN
 */
export function streamedList<Row>(
  columns: readonly Column<Row>[],
  choice: ListingChoice,
  as: { readonly id: (row: Row) => string; readonly fields: (row: Row) => object },
  write: (text: string) => void,
): StreamedList<Row> | undefined {
  const { output, sort } = choice
  if (sort !== undefined || !(output === 'ids' || output === 'ndjson' || output === 'csv')) return undefined
  const shown = chosenColumns(columns, choice)
  const lineOf = {
    ids: (row: Row) => idWord(as.id(row)),
    ndjson: (row: Row) => printableJson(JSON.stringify(as.fields(row))),
    csv: (row: Row) => csvLine(row, shown),
  }[output]
  let chunk = output === 'csv' && choice['no-header'] !== true ? `${csvHeader(shown)}\n` : ''
  const flush = (): void => {
    if (chunk !== '') write(chunk)
    chunk = ''
  }
  return {
    row(row) {
      chunk += `${lineOf(row)}\n`
      if (chunk.length >= chunkSize) flush()
    },
    end(summary) {
      if (output === 'ndjson') chunk += `${printableJson(JSON.stringify({ schema: 'nsb.summary/1', ...summary }))}\n`
      flush()
    },
  }
}
