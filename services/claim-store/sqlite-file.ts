// claims.sqlite: one row for each claim, its entry as JSON as it stands in claims.json, so that both books are sealed alike and `entry ->> 'status'`
// can be asked for; and one row that says which sequence they reflect, in the same transaction. All of it blocks: claim-store writes in a thread.
import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { DatabaseSync } from 'node:sqlite'

/** What says which claims these are. `seal` is of the entries, too. */
export interface Head { readonly sequence: number, readonly written_at: string, readonly seal: string }
export type Row = readonly [claimId: string, line: string]

/** `PRAGMA application_id`: "Klai". */
const APPLICATION = 0x4b6c6169
const SCHEMA_VERSION = 1
/** A backup that is being made may hold a lock as long as it reads. */
const BUSY_MS_MAX = 5_000

const CORRUPT = 11
const CANTOPEN = 14
const READONLY = 8
const NOTADB = 26
/** "no such table" and the like: a database, but not our book. */
const ERROR = 1
export const DAMAGED: ReadonlySet<number> = new Set([ERROR, CORRUPT, NOTADB])

const SCHEMA = `
  CREATE TABLE claims (claim_id TEXT PRIMARY KEY, entry TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE head (only INTEGER PRIMARY KEY CHECK (only = 1), sequence INTEGER NOT NULL, written_at TEXT NOT NULL, seal TEXT NOT NULL) STRICT;
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/** SQLite's primary result code; undefined of what is no error of SQLite. */
export function sqliteCodeOf (error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown }
  return typeof errcode === 'number' ? errcode & 0xff : undefined
}

// Loaded where there is a book to open, so that the others do without.
const sqlite = async (): Promise<typeof import('node:sqlite')> => await import('node:sqlite')

/** The book as it was committed last, for book-file.ts to check. */
export async function readSqlite (place: string): Promise<unknown> {
  const { DatabaseSync } = await sqlite()
  // Of a file that is not there SQLite says no more than of one that cannot be opened.
  statSync(place)
  const read = (where: string | URL): unknown => {
    const database = new DatabaseSync(where, { readOnly: true, timeout: BUSY_MS_MAX })
    try {
      database.exec('BEGIN')
      const [application, version] = [pragma(database, 'application_id'), pragma(database, 'user_version')]
      if (application !== APPLICATION || version !== SCHEMA_VERSION || database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'] !== 'ok') return null
      const head = headOf(database)
      // An entry under another's id is missing here, which the seal tells.
      return head && { version: 1, ...head, claims: database.prepare("SELECT entry FROM claims WHERE claim_id = entry ->> 'claim_id'").all().map((row) => JSON.parse(String(row['entry'])) as unknown) }
    } finally {
      database.close()
    }
  }
  try {
    return read(place)
  } catch (error) {
    // Where nothing can be written SQLite cannot make its shared memory; without a log to read there is nobody to share with.
    if (![CANTOPEN, READONLY].includes(sqliteCodeOf(error) ?? -1) || existsSync(`${place}-wal`)) throw error
    return read(new URL(`${pathToFileURL(place).href}?immutable=1`))
  }
}

/** For writing. What is taken out is overwritten, also in free pages: PRIVACY.md promises it. */
export async function openSqlite (place: string): Promise<DatabaseSync> {
  const { DatabaseSync } = await sqlite()
  const database = new DatabaseSync(place, { timeout: BUSY_MS_MAX })
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** A new one that nobody knows yet: what is on its way to the disk when it dies is begun anew, so it needs no journal. */
export async function createSqlite (place: string): Promise<DatabaseSync> {
  const { DatabaseSync } = await sqlite()
  closeSync(openSync(place, 'w', 0o600))
  const database = new DatabaseSync(place)
  try {
    database.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; ${SCHEMA}`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

export function headOf (database: DatabaseSync): Head | undefined {
  return database.prepare('SELECT sequence, written_at, seal FROM head').get() as Head | undefined
}

export function putRows (database: DatabaseSync, rows: readonly Row[]): void {
  const put = database.prepare('INSERT INTO claims (claim_id, entry) VALUES (?, ?) ON CONFLICT (claim_id) DO UPDATE SET entry = excluded.entry')
  for (const [claimId, line] of rows) put.run(claimId, line)
}

export function removeRows (database: DatabaseSync, claimIds: readonly string[]): void {
  const remove = database.prepare('DELETE FROM claims WHERE claim_id = ?')
  for (const claimId of claimIds) remove.run(claimId)
}

export function putHead (database: DatabaseSync, { sequence, written_at: writtenAt, seal }: Head): void {
  database.prepare('INSERT OR REPLACE INTO head (only, sequence, written_at, seal) VALUES (1, ?, ?, ?)').run(sequence, writtenAt, seal)
}

/** Moves what was committed from the log into the file and empties the log, which may hold what was taken out. Throws while somebody reads. */
export function emptyLog (database: DatabaseSync): void {
  if (database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy'] !== 0) throw Object.assign(new Error('the log of the book is being read'), { code: 'EBUSY' })
}

export function bytesOf (place: string): number {
  return [place, `${place}-wal`].reduce((sum, each) => sum + (statSync(each, { throwIfNoEntry: false })?.size ?? 0), 0)
}

function pragma (database: DatabaseSync, name: 'application_id' | 'user_version'): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name]
}
