// docs/performance.md: what was measured last of each row, and by its side the figures themselves (docs/performance.json), so that one row can be measured anew.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { TABLE_HEAD, tableLine, type Row } from './statistics.ts'

export interface Measured {
  readonly name: string
  /** RFC 3339. */
  readonly at: string
  readonly node: string
  readonly processors: string
  /** Of one minute, when the run began. */
  readonly loadBefore: number
  readonly rows: readonly Row[]
}

const PAGE = resolve(import.meta.dirname, '../../docs/performance.md')
const FIGURES = resolve(import.meta.dirname, '../../docs/performance.json')
const [BEGIN, END] = ['<!-- what scripts/bench --write measured -->', '<!-- end -->']

/** The page with its table made anew; what people wrote around it stays. Throws where it has no place for the table. */
export function withTable (page: string, measured: readonly Measured[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error('the page has no place for the table')
  const table = [TABLE_HEAD, ...measured.flatMap(({ rows }) => rows.map(tableLine))].join('\n')
  const runs = measured.map(({ name, at, node, processors, loadBefore, rows }) => `| ${name} | ${rows[0]?.repetitions ?? 0} | ${at.slice(0, 16).replace('T', ' ')} | ${loadBefore.toFixed(2)} | ${node}, ${processors} |`)
  return `${page.slice(0, begin + BEGIN.length)}\n${table}\n\n| row | repetitions | measured (UTC) | load before | on |\n|---|---|---|---|---|\n${runs.join('\n')}\n${page.slice(end)}`
}

/** `order`: the names of all rows that there are, as they follow each other on the page. */
export function writeReport (measured: readonly Measured[], order: readonly string[]): void {
  const known = new Map((existsSync(FIGURES) ? JSON.parse(readFileSync(FIGURES, 'utf8')) as Measured[] : []).map((each) => [each.name, each]))
  for (const each of measured) known.set(each.name, each)
  const all = order.map((name) => known.get(name)).filter((each) => each !== undefined)
  writeFileSync(FIGURES, `${JSON.stringify(all, null, 2)}\n`)
  writeFileSync(PAGE, withTable(readFileSync(PAGE, 'utf8'), all))
}
