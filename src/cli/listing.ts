import { NsbError } from '../message/nsb-error.ts'
import { nearest } from '../message/nearest.ts'
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

/** The rows in the order of `--sort`, else as they are. */
export function sortedRows<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sort: string | undefined): readonly Row[] {
  if (sort === undefined) return rows
  const descending = sort.startsWith('-')
  const { value } = columnNamed(columns, descending ? sort.slice(1) : sort)
  const ascending = rows.toSorted((a, b) => compare(value(a), value(b)))
  return descending ? ascending.toReversed() : ascending
}

function compare(a: string | number | undefined, b: string | number | undefined): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [String(a ?? ''), String(b ?? '')]
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

/** Comma separated values with a header line. @source RFC 4180, with LF */
export function csvLines<Row>(rows: readonly Row[], columns: readonly Column<Row>[], header: boolean): string[] {
  const cell = (value: string | number | undefined): string => {
    const text = String(value ?? '')
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  const lines = rows.map((row) => columns.map((column) => cell(column.value(row))).join(','))
  return header ? [columns.map((column) => column.name).join(','), ...lines] : lines
}
