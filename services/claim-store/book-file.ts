// Where a book stands and how it is read, by claim-store and by scripts. It is claims.json, or above 10,000 claims claims.sqlite beside it: where
// both stand, which a move that died leaves behind, it is claims.sqlite.
import { access, open, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Type, type Static } from 'typebox'
import { Timestamp } from '../../contracts/ids.ts'
import { BookEntry } from '../../contracts/requests.ts'
import { validatorOf } from '../common/envelope.ts'
import { Entries } from './book-seal.ts'
import { DAMAGED, readSqlite, sqliteCodeOf } from './sqlite-file.ts'

export const BookFile = Type.Object({
  version: Type.Literal(1),
  /** Every event of the CLAIMS stream up to this sequence is reflected; some newer ones may be, too. */
  sequence: Type.Integer({ minimum: 0 }),
  /** An older version wrote none. */
  written_at: Type.Optional(Timestamp),
  /** See book-seal.ts. An older version wrote none. */
  seal: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  claims: Type.Array(BookEntry),
})
export type BookFile = Static<typeof BookFile>

export const BOOK_KINDS = ['json', 'sqlite'] as const
export type BookKind = typeof BOOK_KINDS[number]

/** The entries by their claims, as they are written, and what seals them. */
export interface Lines { readonly lines: Map<string, string>, readonly entries: Entries }

/** `damaged`: it cannot be read. `changed`: it can, and is not what claim-store wrote. */
export type Reading =
  | { readonly state: 'absent' }
  | { readonly state: 'damaged', readonly kind: BookKind }
  | { readonly state: 'changed' | 'whole', readonly kind: BookKind, readonly book: BookFile } & Lines

/** A book that moves while it is looked for is found at its new place. */
const TRIES_MAX = 5

/** `path` is BOOK_FILE, whichever kind stands there. */
export function placesOf (path: string): Record<BookKind | 'wish', string> {
  return { json: path, sqlite: `${path.replace(/\.json$/, '')}.sqlite`, wish: `${path}.wanted` }
}

export const asideOf = (place: string): string => join(dirname(place), `.${basename(place)}.new`)

async function isThere (place: string): Promise<boolean> {
  try {
    await access(place)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** Where no book stands: what is wished, and otherwise JSON. */
export async function kindAt (path: string): Promise<BookKind> {
  const places = placesOf(path)
  if (await isThere(places.sqlite)) return 'sqlite'
  return await isThere(places.json) ? 'json' : await wishAt(path) ?? 'json'
}

/** What scripts/migrate-book asks for. */
export async function wishAt (path: string): Promise<BookKind | undefined> {
  const text = await readFile(placesOf(path).wish, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  })
  return BOOK_KINDS.find((kind) => kind === text.trim())
}

export async function wish (path: string, kind: BookKind): Promise<void> {
  await writeWhole(placesOf(path).wish, `${kind}\n`)
}

/** Written aside, on the disk, and then in its place: at any moment there is the old file or the new one. */
export async function writeWhole (place: string, text: string): Promise<void> {
  const file = await open(asideOf(place), 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(asideOf(place), place)
  await directoryOnDisk(place)
}

export async function directoryOnDisk (place: string): Promise<void> {
  const directory = await open(dirname(place), constants.O_RDONLY)
  try { await directory.sync() } finally { await directory.close() }
}

/** Throws what the disk says. */
export async function readBook (path: string): Promise<Reading> {
  for (let tries = 1; ; tries++) {
    const kind = await kindAt(path)
    try {
      return await readKind(kind, placesOf(path)[kind])
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      if (await kindAt(path) === kind && !await isThere(placesOf(path)[kind])) return { state: 'absent' }
      if (tries === TRIES_MAX) throw error
    }
  }
}

async function readKind (kind: BookKind, place: string): Promise<Reading> {
  let book: unknown
  try {
    book = kind === 'json' ? JSON.parse(await readFile(place, 'utf8')) : await readSqlite(place)
  } catch (error) {
    if (error instanceof SyntaxError || DAMAGED.has(sqliteCodeOf(error) ?? -1)) return { state: 'damaged', kind }
    throw error
  }
  if (!validatorOf(BookFile).Check(book)) return { state: 'damaged', kind }
  const { seal, claims, ...head } = book as BookFile
  const lines = new Map(claims.map((entry) => [entry.claim_id, JSON.stringify(entry)]))
  // One claim twice is nothing that we write, sealed or not.
  if (lines.size < claims.length) return { state: 'damaged', kind }
  const entries = new Entries(lines.values())
  const isOurs = seal === undefined ? kind === 'json' : seal === entries.seal(head, lines.size)
  return { state: isOurs ? 'whole' : 'changed', kind, book: book as BookFile, lines, entries }
}

/**
 * Out of the way, never overwritten: somebody may want to see what was there. Answers its name, undefined where nothing stood there. What comes in
 * its stead is of the same kind.
 */
export async function setAside (path: string, now: Date): Promise<string | undefined> {
  const kind = await kindAt(path)
  const place = placesOf(path)[kind]
  const there = await readdir(dirname(place)).catch((): string[] => [])
  if (!there.includes(basename(place))) return undefined
  if (kind === 'sqlite') {
    await wish(path, kind)
    // A book that was left behind by a move must not come to the front again.
    await unlinkIfThere(placesOf(path).json)
  }
  const aside = `${place}.damaged-${now.getTime()}`
  await rename(place, aside)
  for (const tail of kind === 'sqlite' ? ['-wal', '-shm'] : []) if (there.includes(`${basename(place)}${tail}`)) await rename(`${place}${tail}`, `${aside}${tail}`)
  return aside
}

export async function unlinkIfThere (place: string): Promise<void> {
  await unlink(place).catch((error: unknown) => { if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error })
}
