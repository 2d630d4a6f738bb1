// The thread that writes claims.sqlite, so that claim-store answers while a disk takes its time. It does what book-sqlite.ts asks, one after the other.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { bytesOf, createSqlite, DAMAGED, emptyLog, headOf, openSqlite, putHead, putRows, removeRows, sqliteCodeOf, type Head, type Row } from './sqlite-file.ts'

export type Order =
  /** In one transaction, if the book is the one that `since` sealed; otherwise it answers null. */
  | { readonly do: 'change', readonly since: string, readonly head: Head, readonly put: readonly Row[], readonly remove: readonly string[] }
  /** The whole book in pieces, also in one transaction: in the one that is there, and otherwise aside. */
  | { readonly do: 'begin' }
  | { readonly do: 'put', readonly rows: readonly Row[] }
  | { readonly do: 'end', readonly head: Head }
  | { readonly do: 'close' }
/** `bytes`: of the book, once it is written. `isDamaged`: what stands there is no book of ours, and has to make way for a new one. */
export type Answer = { readonly bytes: number | null } | { readonly reason: string, readonly isDamaged: boolean }

const { place, aside } = workerData as { place: string, aside: string }

const REPLACED = 'BOOK_REPLACED'

/** The book as it is open, by its inode. */
let live: { readonly database: DatabaseSync, readonly inode: number } | undefined
/** What is being made where there is none. */
let making: DatabaseSync | undefined

async function opened (): Promise<DatabaseSync | undefined> {
  const inode = statSync(place, { throwIfNoEntry: false })?.ino
  if (live && live.inode !== inode) {
    close()
    // Whoever put another in its place left the log of ours beside it, and SQLite would read the two as one.
    if (inode !== undefined) throw Object.assign(new Error('another file stands in the place of the book'), { code: REPLACED })
  }
  if (!live && inode !== undefined) live = { database: await openSqlite(place), inode }
  return live?.database
}

function close (): void {
  const both = [live?.database, making]
  live = making = undefined
  for (const database of both) database?.close()
}

function onDisk (path: string): void {
  const file = openSync(path, 'r')
  try { fsyncSync(file) } finally { closeSync(file) }
}

async function change ({ since, head, put, remove }: Order & { do: 'change' }): Promise<number | null> {
  const database = await opened()
  if (!database) return null
  database.exec('BEGIN IMMEDIATE')
  if (headOf(database)?.seal !== since) {
    database.exec('ROLLBACK')
    return null
  }
  putRows(database, put)
  removeRows(database, remove)
  putHead(database, head)
  database.exec('COMMIT')
  if (remove.length > 0) emptyLog(database)
  return bytesOf(place)
}

async function begin (): Promise<void> {
  const database = await opened()
  if (database) {
    database.exec('BEGIN IMMEDIATE; DELETE FROM claims')
    return
  }
  for (const path of [aside, `${aside}-wal`, `${aside}-shm`, `${aside}-journal`]) rmSync(path, { force: true })
  making = await createSqlite(aside)
  making.exec('BEGIN')
}

function end (head: Head): number {
  const database = making ?? live?.database
  if (!database) throw new Error('nothing was begun')
  putHead(database, head)
  database.exec('COMMIT')
  if (making) {
    making = undefined
    // Kept in the file: whoever opens it next finds it so.
    database.exec('PRAGMA journal_mode = WAL')
    database.close()
    onDisk(aside)
    // A log that another book has left under this name would be taken for this one's.
    for (const tail of ['-wal', '-shm']) rmSync(`${place}${tail}`, { force: true })
    renameSync(aside, place)
    onDisk(dirname(place))
  } else {
    emptyLog(database)
  }
  return bytesOf(place)
}

async function carryOut (order: Order): Promise<number | null> {
  switch (order.do) {
    case 'change': return await change(order)
    case 'begin': await begin(); return null
    case 'put': {
      const database = making ?? live?.database
      if (!database) throw new Error('nothing was begun')
      putRows(database, order.rows)
      return null
    }
    case 'end': return end(order.head)
    case 'close': close(); return null
  }
}

parentPort?.on('message', (order: Order) => {
  carryOut(order).then((bytes): Answer => ({ bytes }), (error: unknown): Answer => {
    // Whatever was begun is over, and the next order finds a book as it is on the disk.
    try { close() } catch {}
    const sqlite = sqliteCodeOf(error)
    const reason = sqlite === undefined ? (error as NodeJS.ErrnoException).code ?? 'BUG' : `SQLITE_${sqlite}`
    return { reason, isDamaged: reason === REPLACED || (sqlite !== undefined && DAMAGED.has(sqlite)) }
  }).then((answer) => { parentPort?.postMessage(answer) }).catch(() => {})
})
