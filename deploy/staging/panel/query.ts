/** Filters, sorting and pages of the panel's lists (spatie/laravel-query-builder 6.2.1 and Laravel's paginator). */
import { invalidFilter, invalidSort, unexpected } from './errors.ts'
import { containsText } from './collation.ts'

/** A filter gets the comma-separated values; a row passes if any of them does. */
export type Filters<Row> = Record<string, (row: Row, value: string) => boolean>

export const partial = <Row>(column: (row: Row) => string | null) => (row: Row, value: string) => containsText(column(row) ?? '', value)

export function select<Row extends { id: number }> (
  rows: Iterable<Row>, query: URLSearchParams, filters: Filters<Row>, sorts?: Record<string, (row: Row) => string | number>
): Row[] {
  const asked = [...query].flatMap(([key, value]) => {
    const name = /^filter\[([^\]]*)\]$/.exec(key)?.[1]
    return name === undefined ? [] : [[name, value] as const]
  })
  const allowed = Object.keys(filters)
  const unknown = asked.map(([name]) => name).filter(name => !allowed.includes(name))
  if (unknown.length > 0) throw invalidFilter(unknown, allowed)
  // An empty value is no filter.
  const active = asked.filter(([, value]) => value !== '')
  const chosen = [...rows].filter(row => active.every(([name, value]) => value.split(',').some(one => filters[name]!(row, one))))
  return sorts === undefined ? chosen : sorted(chosen, query.get('sort'), sorts)
}

// Without a sort the database gives no order; its primary key order is what was seen.
function sorted<Row extends { id: number }> (rows: Row[], sort: string | null, sorts: Record<string, (row: Row) => string | number>): Row[] {
  if (sort === null || sort === '') return rows
  const keys = sort.split(',').map(text => ({ name: text.replace(/^-/, ''), direction: text.startsWith('-') ? -1 : 1 }))
  const unknown = keys.map(({ name }) => name).filter(name => !(name in sorts))
  if (unknown.length > 0) throw invalidSort(unknown, Object.keys(sorts))
  return rows.toSorted((a, b) => {
    for (const { name, direction } of keys) {
      const [x, y] = [sorts[name]!(a), sorts[name]!(b)]
      if (x !== y) return (x < y ? -1 : 1) * direction
    }
    return 0
  })
}

export interface Page<Row> { rows: Row[], pagination: Record<string, unknown> }

/** 1.x has no maximum. The links lose per_page, filter, sort and include. */
export function paginate<Row> (rows: Row[], query: URLSearchParams, url: string): Page<Row> {
  const perPage = perPageOf(query.get('per_page'))
  const page = /^[1-9]\d*$/.test(query.get('page') ?? '') ? Number(query.get('page')) : 1
  const pages = Math.max(1, Math.ceil(rows.length / perPage))
  const shown = rows.slice((page - 1) * perPage, page * perPage)
  const links: Record<string, string> = {}
  if (page > 1) links.previous = `${url}?page=${page - 1}`
  if (page < pages) links.next = `${url}?page=${page + 1}`
  return {
    rows: shown,
    pagination: { total: rows.length, count: shown.length, per_page: perPage, current_page: page, total_pages: pages, links }
  }
}

function perPageOf (text: string | null): number {
  if (text === null || text === '') return 50
  if (!/^[-+]?\d+(\.\d+)?$/.test(text)) throw unexpected('TypeError')
  const number = Math.trunc(Number(text))
  if (number < 0) throw unexpected('QueryException')
  return number === 0 ? 15 : number
}
