// The ledger as a book that people, scripts and a restart can read: claims.json, or claims.sqlite for many claims. Never the commit: the stream is.
// A book that lags, is lost or was changed by hand is put right from the stream, so nothing here has to hold up a decision.
//
// A move from one kind to the other is wished by a file beside the book (scripts/migrate-book) and done by the keeper between two batches: the new
// book is written whole, then the old one is removed. Where claims.sqlite stands it is the book, so its coming or going is the moment of the move;
// whoever dies on the way leaves the wish, and the next keeper begins again.
import { mkdir, readdir, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { lock } from 'proper-lockfile'
import type { BookEntry } from '../../contracts/requests.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { kindAt, placesOf, readBook, setAside, unlinkIfThere, wishAt, type BookFile, type BookKind, type Lines } from './book-file.ts'
import { createJsonBook } from './book-json.ts'
import type { Keeping } from './book-keeping.ts'
import { Entries } from './book-seal.ts'
import { BookWriteError, createSqliteBook } from './book-sqlite.ts'
import { entryOf } from './record.ts'

export { BookFile } from './book-file.ts'

export interface Book {
  /** What the file held at start; null where there is none, where it was damaged and set aside, where it was changed, or where it is too old to know who was erased since. */
  readonly loaded: BookFile | null
  /** The sequence that the file reflected at start, even where nothing else of it is taken over; 0 where there was none. */
  readonly reflected: number
  /** Notes what is written with the next batch; only then are the fields of an entry picked from it, so it must not change. */
  note (entry: BookEntry): void
  /** Takes an entry out of the book, with the next batch. */
  forget (claimId: string): void
  /** Removes damaged books that were set aside longer ago than the book keeps its word. */
  tidy (): Promise<void>
  /** Writes what is noted, now. Throws what the disk says. */
  flush (): Promise<void>
  close (): Promise<void>
}

export interface Written { readonly kind: BookKind, readonly claims: number, readonly bytes: number, readonly seconds: number }

const LOCK_STALE_MS = 10_000
const LOCK_RETRY_MS = 2_000
/** After a write that failed. */
const WRITE_RETRY_MS = 2_000
/** So many times as long as a batch took the next one waits, where that is longer than `everyMs`: a book of thousands of claims is some megabytes each time, on the disk that decisions wait for. */
const REST_TIMES = 20
const REST_MS_MAX = 2_000
/** Some 2 ms of work. */
const TAKEN_AT_ONCE = 500
/** claims.json is meant for 10,000 claims: it is said in time. */
export const JSON_CLAIMS_WARNED = 8_000

/**
 * Of several processes with the same path one is the keeper, by a lock that goes stale 10 s after its holder dies; the others only read.
 * `sequence` is asked at each write; nothing is written while it is undefined. Writes are batched: one atomic, fsynced write for all that was
 * noted in `everyMs`. A book that was written longer than `believedMs` ago is not taken over: somebody may have been erased meanwhile.
 */
export async function openBook (options: { path: string, log: Log, everyMs: number, believedMs: number, now: () => Date, sequence: () => number | undefined, onWritten?: (facts: Written) => void }): Promise<Book> {
  const { path, log, everyMs, believedMs, now } = options
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const { stored, loaded, lines, entries } = await load(path, log, { believedMs, now })
  const places = placesOf(path)
  const keepings: Record<BookKind, Keeping> = { json: createJsonBook(places.json), sqlite: createSqliteBook(places.sqlite) }
  /** Noted since the last write: they are turned into text with the next, each once however often it changed, and a replay notes every event. */
  const noted = new Map<string, BookEntry>()
  /** Claims that changed since the book sealed by `sealWritten`. */
  let changed = new Set<string>()
  let sealWritten = loaded?.seal
  let kind: BookKind = 'json'
  let release: (() => Promise<void>) | undefined
  let dirty = false
  let closing = false
  let writing: Promise<void> = Promise.resolve()
  let sequenceWritten = loaded?.sequence ?? -1
  let isWarned = false
  let failedAt: number | undefined

  async function acquire (): Promise<void> {
    if (release || closing) return
    let given: (() => Promise<void>) | undefined
    let isLost = false
    try {
      given = await lock(path, {
        realpath: false, stale: LOCK_STALE_MS, update: LOCK_STALE_MS / 4,
        onCompromised: () => { isLost = true; release = undefined; log.error('the lock of the book was lost; it is not written until it is ours again') },
      })
      await alone(async () => {
        // The keeper before us may have moved it, and died before everything was put away.
        kind = await kindAt(path)
        await settle().catch((error: unknown) => { log.warn({ reason: (error as NodeJS.ErrnoException).code }, 'what a move of the book has left behind could not be removed') })
        if (isLost) return
        release = given
        dirty = true
        log.info({ kind }, 'this process keeps the book')
      })
    } catch (error) {
      await given?.().catch(() => {})
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') log.error({ code: codeOf(error), reason: (error as NodeJS.ErrnoException).code }, 'the book cannot be locked')
    }
  }

  async function settle (): Promise<void> {
    await keepings[kind === 'json' ? 'sqlite' : 'json'].remove()
  }

  /** Turns what is noted into text, as far as `max`. */
  function takeIn (max = Infinity): void {
    let taken = 0
    for (const [claimId, entry] of noted) {
      if (taken++ >= max) break
      noted.delete(claimId)
      const [before, line] = [lines.get(claimId), JSON.stringify(entryOf(entry))]
      if (before !== undefined) entries.toggle(before)
      entries.toggle(line)
      lines.set(claimId, line)
      changed.add(claimId)
    }
  }

  async function writeAs (which: BookKind, sequence: number): Promise<void> {
    // Another book stands there (of the keeper before us, or restored) or none: all of it, as it is by then.
    if (!await writeSince(sealWritten, which, sequence)) await writeSince(undefined, which, sequence)
  }

  /** Resolves with false where nothing was written because the book there is not the one that `since` seals. */
  async function writeSince (since: string | undefined, which: BookKind, sequence: number): Promise<boolean> {
    takeIn()
    const differing = changed
    const claims = lines.size
    const written_at = now().toISOString()
    const head = { sequence, written_at, seal: entries.seal({ sequence, written_at }, claims) }
    const began = performance.now()
    let bytes: number | null = null
    changed = new Set()
    dirty = false
    try {
      bytes = await keepings[which].write({ lines, changed: differing, since, head })
    } finally {
      if (bytes === null) {
        for (const claimId of differing) changed.add(claimId)
        dirty = true
      }
    }
    if (bytes === null) return false
    sequenceWritten = sequence
    sealWritten = head.seal
    options.onWritten?.({ kind: which, claims, bytes, seconds: (performance.now() - began) / 1_000 })
    return true
  }

  async function write (): Promise<void> {
    // After a replay everything is new, and others have something to ask meanwhile.
    if (release && options.sequence() !== undefined) for (; noted.size > TAKEN_AT_ONCE; await setImmediate()) takeIn(TAKEN_AT_ONCE)
    const sequence = options.sequence()
    if (!release || sequence === undefined || (!dirty && sequence === sequenceWritten)) return
    try {
      await writeAs(kind, sequence)
    } catch (error) {
      if (failedAt === undefined) log.error({ code: 'BOOK_UNWRITTEN', reason: (error as NodeJS.ErrnoException).code ?? codeOf(error) }, 'the book could not be written; the ledger is not affected')
      failedAt = performance.now()
      if (error instanceof BookWriteError && error.isDamaged) await putAside(path, log, now)
      throw error
    }
    if (failedAt !== undefined) log.info('the book is written again')
    failedAt = undefined
    const isLarge = kind === 'json' && lines.size >= JSON_CLAIMS_WARNED
    if (isLarge && !isWarned) log.warn({ code: 'BOOK_LARGE', claims: lines.size }, 'the book grows large for claims.json: scripts/migrate-book')
    isWarned = isLarge
  }

  async function move (): Promise<void> {
    const wished = release && await wishAt(path)
    const sequence = options.sequence()
    if (!release || !wished || sequence === undefined) return
    if (wished === kind) {
      // A damaged one that was set aside leaves its wish, and the new one may not be there yet.
      await write()
    } else {
      await writeAs(wished, sequence)
      // From its coming on claims.sqlite is the book; until its going it is.
      if (wished === 'json') await keepings.sqlite.remove()
      kind = wished
      log.info({ kind, claims: lines.size }, 'the book has moved')
    }
    await settle()
    await unlinkIfThere(places.wish)
  }

  /** One after the other, whoever asks. */
  async function alone (work: () => Promise<void>): Promise<void> {
    const mine = writing.catch(() => {}).then(work)
    writing = mine
    await mine
  }

  async function tidy (): Promise<void> {
    for (const name of await readdir(dirname(path))) {
      const [, at] = /\.damaged-(\d+)(?:-wal|-shm)?$/.exec(name) ?? []
      const isOurs = [places.json, places.sqlite].some((place) => name.startsWith(`${basename(place)}.damaged-`))
      if (isOurs && at !== undefined && now().getTime() - Number(at) >= believedMs) await unlink(join(dirname(path), name))
    }
  }

  const flush = async (): Promise<void> => { await alone(write) }

  // A limit on the size of files (LimitFSIZE=) is a disk that is full. proper-lockfile takes its signal for the end of the process where nobody else listens.
  const onFileLimit = (): void => {}
  process.on('SIGXFSZ', onFileLimit)
  let acquiring: Promise<void> | undefined
  const acquireOnce = async (): Promise<void> => { await (acquiring ??= acquire().finally(() => { acquiring = undefined })) }
  await acquireOnce()
  let moving: Promise<void> | undefined
  const locking = setInterval(() => {
    void acquireOnce()
    moving ??= alone(move).catch((error: unknown) => { log.error({ code: 'BOOK_UNMOVED', reason: (error as NodeJS.ErrnoException).code ?? codeOf(error) }, 'the book could not be moved yet; it stays where it was') }).finally(() => { moving = undefined })
  }, LOCK_RETRY_MS)
  let batch: Promise<void> | undefined
  let restsUntil = 0
  const batching = setInterval(() => {
    const began = performance.now()
    if (batch || began < restsUntil || (failedAt !== undefined && began - failedAt < WRITE_RETRY_MS)) return
    // What went wrong is told where it did.
    batch = flush().catch(() => {}).finally(() => {
      batch = undefined
      restsUntil = performance.now() + Math.min(REST_MS_MAX, REST_TIMES * (performance.now() - began))
    })
  }, everyMs)

  return {
    loaded,
    reflected: stored?.sequence ?? 0,
    forget: (claimId) => {
      noted.delete(claimId)
      const line = lines.get(claimId)
      if (line === undefined) return
      entries.toggle(line)
      lines.delete(claimId)
      changed.add(claimId)
      dirty = true
    },
    tidy,
    note: (entry) => {
      noted.set(entry.claim_id, entry)
      dirty = true
    },
    flush,
    close: async () => {
      closing = true
      clearInterval(locking)
      clearInterval(batching)
      // A lock that is taken while we close would hold up the next keeper until it is stale.
      await acquiring
      await flush().catch(() => {})
      await keepings.sqlite.close().catch(() => {})
      await release?.().catch(() => {})
      release = undefined
      process.off('SIGXFSZ', onFileLimit)
    },
  }
}

type Loaded = Lines & { readonly stored: BookFile | null, readonly loaded: BookFile | null }
const nothing = (stored: BookFile | null): Loaded => ({ stored, loaded: null, lines: new Map(), entries: new Entries() })

/** A book that is not to be believed is never the end of a start: the ledger has it all. Where it can be read, `stored` still says how far it was. */
async function load (path: string, log: Log, { believedMs, now }: { believedMs: number, now: () => Date }): Promise<Loaded> {
  const reading = await readBook(path)
  if (reading.state === 'absent') return nothing(null)
  if (reading.state === 'damaged') {
    await putAside(path, log, now)
    return nothing(null)
  }
  const { state, book: stored, lines, entries } = reading
  if (state === 'changed') {
    log.error({ code: 'BOOK_CHANGED', sequence: stored.sequence }, 'the book is not what was written, somebody changed it; it is written anew from the ledger')
    return nothing(stored)
  }
  const isBelieved = stored.written_at !== undefined && now().getTime() - Date.parse(stored.written_at) < believedMs
  if (isBelieved) return { stored, loaded: stored, lines, entries }
  log.warn({ sequence: stored.sequence }, 'the book is old and is written anew from the ledger')
  return nothing(stored)
}

async function putAside (path: string, log: Log, now: () => Date): Promise<void> {
  const aside = await setAside(path, now())
  if (aside !== undefined) log.error({ code: 'STORE_CORRUPT', aside: basename(aside) }, 'the book is damaged; it is set aside and rebuilt from the ledger')
}
