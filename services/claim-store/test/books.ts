// A book of either kind for tests, as claim-store opens it, and what stands in its file.
import { randomUUID } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { BookEntry } from '../../../contracts/requests.ts'
import { createLog } from '../../common/log.ts'
import { scratch } from '../../common/test/scratch.ts'
import { openBook, type Book, type Written } from '../book.ts'
import { placesOf, readBook, type BookFile, type BookKind } from '../book-file.ts'

export const DAY_MS = 24 * 3_600_000
const AT = '2026-01-02T03:04:05.678Z'

export const entry = (n: number, fields: Partial<BookEntry> = {}): BookEntry => ({
  claim_id: randomUUID(), wa_jid: `62812${String(n).padStart(8, '0')}@s.whatsapp.net`, status: 'active', user_id: n + 1, server_id: n + 1, allocation_id: n + 1,
  deletion_scheduled_at: null, delete_job_id: null, created_at: AT, updated_at: AT, last_event_at: AT, ...fields,
})

export interface Place {
  readonly path: string
  /** The file itself. */
  readonly file: string
  readonly directory: string
  readonly lines: string[]
  readonly written: Written[]
  /** What the ledger says it has. */
  sequence: number | undefined
  now: Date
  open (options?: { everyMs?: number }): Promise<Book>
  /** What a reader finds; fails where it is not whole. */
  read (): Promise<BookFile>
  said (code: string): boolean
}

/** A directory with the kind of book that is to be there. */
export function place (t: Test, kind: BookKind, directory = scratch(t)): Place {
  const path = join(directory, 'claims.json')
  chmodSync(directory, 0o700)
  if (kind === 'sqlite') writeFileSync(placesOf(path).wish, 'sqlite\n')
  const lines: string[] = []
  const written: Written[] = []
  const log = createLog('claim-store', 'debug', (line) => lines.push(line))
  const it: Place = {
    path, file: placesOf(path)[kind], directory, lines, written, sequence: 1, now: new Date('2026-02-01T00:00:00.000Z'),
    open: async ({ everyMs = 60_000 } = {}) => {
      const book = await openBook({ path, log, everyMs, believedMs: 30 * DAY_MS, now: () => it.now, sequence: () => it.sequence, onWritten: (facts) => written.push(facts) })
      let closed: Promise<void> | undefined
      const close = async (): Promise<void> => { await (closed ??= book.close()) }
      t.teardown(close)
      return { ...book, close }
    },
    read: async () => {
      const reading = await readBook(path)
      if (reading.state !== 'whole') throw new Error(`the book is ${reading.state}`)
      return reading.book
    },
    said: (code) => lines.some((line) => line.includes(`"${code}"`)),
  }
  return it
}

export const ids = ({ claims }: Pick<BookFile, 'claims'>): string[] => claims.map(({ claim_id }) => claim_id).toSorted()

export async function until (what: string, look: () => boolean | Promise<boolean>, msMax = 20_000): Promise<void> {
  for (const deadline = performance.now() + msMax; !await look();) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
