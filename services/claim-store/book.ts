// claims.json: the ledger as a book that people, scripts and a restart can read. Never the commit: the stream is.
import { constants } from 'node:fs'
import { access, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { lock } from 'proper-lockfile'
import { Type, type Static } from 'typebox'
import { Timestamp } from '../../contracts/ids.ts'
import { BookEntry } from '../../contracts/requests.ts'
import { validatorOf } from '../common/envelope.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'

export const BookFile = Type.Object({
  version: Type.Literal(1),
  /** Every event of the CLAIMS stream up to this sequence is reflected; some newer ones may be, too. */
  sequence: Type.Integer({ minimum: 0 }),
  /** An older version wrote none. */
  written_at: Type.Optional(Timestamp),
  claims: Type.Array(BookEntry),
})
export type BookFile = Static<typeof BookFile>

export interface Book {
  /** What the file held at start; null where there is none, where it was damaged and set aside, or where it is too old to know who was erased since. */
  readonly loaded: BookFile | null
  /** The sequence that the file reflected at start, even where nothing else of it is taken over; 0 where there was none. */
  readonly reflected: number
  /** Notes an entry; it is written with the next batch. */
  note (entry: BookEntry): void
  /** Takes an entry out of the book, with the next batch. */
  forget (claimId: string): void
  /** Removes damaged books that were set aside longer ago than the book keeps its word. */
  tidy (): Promise<void>
  /** Writes what is noted, now. Throws what the disk says. */
  flush (): Promise<void>
  close (): Promise<void>
}

const LOCK_STALE_MS = 10_000
const LOCK_RETRY_MS = 2_000

/**
 * Of several processes with the same path one is the keeper, by a lock that goes stale 10 s after its holder dies; the others only read.
 * `sequence` is asked at each write; nothing is written while it is undefined. Writes are batched: one atomic, fsynced file for all that was
 * noted in `everyMs`. A book that was written longer than `believedMs` ago is not taken over: somebody may have been erased meanwhile.
 */
export async function openBook (options: { path: string, log: Log, everyMs: number, believedMs: number, now: () => Date, sequence: () => number | undefined, onWritten?: (facts: { bytes: number, seconds: number }) => void }): Promise<Book> {
  const { path, log, everyMs, believedMs, now } = options
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const stored = await load(path, log, now)
  const isBelieved = stored?.written_at !== undefined && now().getTime() - Date.parse(stored.written_at) < believedMs
  if (stored && !isBelieved) log.warn({ sequence: stored.sequence }, 'the book is old and is written anew from the ledger')
  const loaded = isBelieved ? stored : null
  // Each entry is turned into text once, when it changes, so that a write costs a join and not a serialisation of everything.
  const lines = new Map<string, string>((loaded?.claims ?? []).map((entry) => [entry.claim_id, JSON.stringify(entry)]))
  let release: (() => Promise<void>) | undefined
  let dirty = false
  let closing = false
  let writing: Promise<void> = Promise.resolve()
  let sequenceWritten = loaded?.sequence ?? -1

  async function acquire (): Promise<void> {
    if (release || closing) return
    try {
      release = await lock(path, {
        realpath: false, stale: LOCK_STALE_MS, update: LOCK_STALE_MS / 4,
        onCompromised: () => { release = undefined; log.error('the lock of the book was lost; it is not written until it is ours again') },
      })
      dirty = true
      log.info('this process keeps the book')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') log.error({ code: codeOf(error), reason: (error as NodeJS.ErrnoException).code }, 'the book cannot be locked')
    }
  }

  async function write (): Promise<void> {
    const sequence = options.sequence()
    if (!release || sequence === undefined || (!dirty && sequence === sequenceWritten)) return
    dirty = false
    const began = performance.now()
    const text = `{"version":1,"sequence":${sequence},"written_at":"${now().toISOString()}","claims":[\n${[...lines.values()].join(',\n')}\n]}\n`
    try {
      const aside = join(dirname(path), `.${basename(path)}.new`)
      const file = await open(aside, 'w', 0o600)
      try {
        await file.writeFile(text)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(aside, path)
      const directory = await open(dirname(path), constants.O_RDONLY)
      try { await directory.sync() } finally { await directory.close() }
      sequenceWritten = sequence
      options.onWritten?.({ bytes: Buffer.byteLength(text), seconds: (performance.now() - began) / 1_000 })
    } catch (error) {
      dirty = true
      throw error
    }
  }

  const flush = async (): Promise<void> => {
    const mine = writing.catch(() => {}).then(write)
    writing = mine
    await mine
  }

  async function tidy (): Promise<void> {
    const set = `${basename(path)}.damaged-`
    for (const name of await readdir(dirname(path))) {
      if (name.startsWith(set) && now().getTime() - Number(name.slice(set.length)) >= believedMs) await unlink(join(dirname(path), name))
    }
  }

  await acquire()
  const locking = setInterval(() => { void acquire() }, LOCK_RETRY_MS)
  const batching = setInterval(() => {
    flush().catch((error: unknown) => { log.error({ reason: (error as NodeJS.ErrnoException).code ?? codeOf(error) }, 'the book could not be written; the ledger is not affected') })
  }, everyMs)

  return {
    loaded,
    reflected: stored?.sequence ?? 0,
    forget: (claimId) => { if (lines.delete(claimId)) dirty = true },
    tidy,
    note: (entry) => { lines.set(entry.claim_id, JSON.stringify(entry)); dirty = true },
    flush,
    close: async () => {
      closing = true
      clearInterval(locking)
      clearInterval(batching)
      await flush().catch(() => {})
      await release?.().catch(() => {})
      release = undefined
    },
  }
}

/** A damaged book is set aside, never overwritten: the ledger rebuilds it, and somebody may want to see what was there. */
async function load (path: string, log: Log, now: () => Date): Promise<BookFile | null> {
  try {
    await access(path)
  } catch {
    return null
  }
  try {
    const book: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (validatorOf(BookFile).Check(book)) return book as BookFile
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code) throw error
  }
  const aside = `${path}.damaged-${now().getTime()}`
  await rename(path, aside)
  log.error({ code: 'STORE_CORRUPT', aside: basename(aside) }, 'the book is damaged; it is set aside and rebuilt from the ledger')
  return null
}
