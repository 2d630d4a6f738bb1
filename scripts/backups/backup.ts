// One backup: copied, packed, restored into a scratch server and compared, and only then given its name. One that fails is kept under another
// name and removes nothing; so a file without `.failed` is one that could be restored on the day it was made.
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NatsConnection } from '@nats-io/transport-node'
import { lock } from 'proper-lockfile'
import { Fault, permanent, transient } from '../../services/common/fault.ts'
import { readBook as readStanding, type BookFile } from '../../services/claim-store/book-file.ts'
import type { Mac } from '../../services/claim-store/mac.ts'
import { onDisk, pack, unpack, writeSum } from './archive.ts'
import { checkBook } from './book-check.ts'
import { contentOf } from './content.ts'
import { managerOf } from './manager.ts'
import { BOOK, descriptionOf, MANIFEST, sha256Of, snapshotOf, type Manifest } from './manifest.ts'
import { restoreStreams } from './restoring.ts'
import { nameOf, outdated } from './retention.ts'
import { withScratch } from './scratch.ts'
import { takeSnapshot, type Described } from './snapshot.ts'
import { COPIED } from './what.ts'

export interface BackupOptions { readonly connection: NatsConnection, readonly directory: string, readonly bookFile: string, readonly mac: Mac, readonly now: () => Date }
export interface Made { readonly name: string, readonly bytes: number, readonly manifest: Manifest, readonly removed: readonly string[] }

const WORK = '.work'
const LOCK_STALE_MS = 60_000
const TRIES_MAX = 10
/** What a restore that was killed has left beside the backup, in clear. */
const UNPACKED = '.restore-'
const UNPACKED_MS_MAX = 24 * 3_600_000

/** Rejects with what is wrong; then the file, as far as it came, is there with `.failed` at its end. */
export async function backUp (options: BackupOptions): Promise<Made> {
  const { directory, now } = options
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if (((await stat(directory)).mode & 0o077) !== 0) throw permanent('BACKUP_DIRECTORY_OPEN', `${directory} can be entered by others than its owner: chmod 700`)
  const release = await lock(directory, { lockfilePath: join(directory, '.lock'), stale: LOCK_STALE_MS }).catch((error: unknown) => {
    throw transient('BACKUP_RUNNING', 'another backup is being made in this directory', { cause: error })
  })
  const work = join(directory, WORK)
  try {
    // What a run that died has left.
    await rm(work, { recursive: true, force: true })
    await mkdir(work, { mode: 0o700 })
    const name = nameOf(now())
    const path = join(directory, name)
    const aside = join(work, name)
    try {
      await copy(options, join(work, 'copy'))
      await pack(join(work, 'copy'), aside)
      await chmod(aside, 0o600)
      await rm(join(work, 'copy'), { recursive: true })
      const manifest = await verify(aside, join(work, 'verify'), options.mac)
      await writeSum(aside, name)
      await rename(`${aside}.sha256`, `${path}.sha256`)
      await rename(aside, path)
      await onDisk(directory)
      const removed = await removeOutdated(directory, now())
      return { name, bytes: (await stat(path)).size, manifest, removed }
    } catch (error) {
      await rename(aside, `${path}.failed`).catch(() => {})
      await removeOutdated(directory, now())
      throw error
    }
  } finally {
    await rm(work, { recursive: true, force: true })
    await release()
  }
}

/** Restores a backup into a scratch server, compares it with its manifest and its book with its ledger. Faults BACKUP_DAMAGED, BACKUP_DIFFERS, BOOK_DIFFERS. */
export async function verify (path: string, work: string, mac: Mac): Promise<Manifest> {
  await mkdir(work, { mode: 0o700 })
  try {
    const files = join(work, 'files')
    const manifest = await unpack(path, files)
    await withScratch(join(work, 'nats'), async ({ connection, jsm }) => {
      await restoreStreams(connection, files, manifest, 1)
      if (manifest.book) await checkBook(jsm, mac, JSON.parse(await readFile(join(files, BOOK), 'utf8')) as BookFile)
    })
    return manifest
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function copy ({ connection, bookFile, now }: BackupOptions, directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 })
  const created_at = now().toISOString()
  // Before the ledger, so that the ledger holds everything that the book does.
  const book = await readBook(bookFile)
  if (book) await writeFile(join(directory, BOOK), book.text, { mode: 0o600 })
  const streams: Manifest['streams'] = []
  for (const name of COPIED) streams.push(await copyStream(connection, name, directory))
  if (!book && streams.some(({ name, messages }) => name === 'CLAIMS' && messages > 0)) throw permanent('BOOK_MISSING', `there are claims and no book at ${bookFile}`)
  const files: Manifest['files'] = []
  for (const path of (await readdir(directory)).toSorted()) files.push({ path, bytes: (await stat(join(directory, path))).size, sha256: await sha256Of(join(directory, path)) })
  const manifest: Manifest = { format: 1, created_at, nats_version: connection.info?.version ?? '', streams, book: book && { sequence: book.sequence, claims: book.claims }, files }
  await writeFile(join(directory, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`, { mode: 0o600 })
}

/** A value that is replaced between the snapshot and its being read back makes the two incomparable; then both are done again. */
async function copyStream (connection: NatsConnection, name: string, directory: string): Promise<Manifest['streams'][number]> {
  const jsm = await managerOf(connection)
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const path = join(directory, snapshotOf(name))
    await rm(path, { force: true })
    const described: Described = await takeSnapshot(connection, name, path)
    const { messages, first_seq, last_seq } = described.state
    const content = await contentOf(jsm, name, last_seq)
    if (content.messages !== messages) continue
    const consumers: string[] = []
    for await (const consumer of jsm.consumers.list(name)) consumers.push(consumer.name)
    await writeFile(join(directory, descriptionOf(name)), JSON.stringify({ config: described.config, state: described.state }), { mode: 0o600 })
    return { name, messages, first_sequence: first_seq, last_sequence: last_seq, content_sha256: content.sha256, consumers }
  }
  throw transient('BACKUP_UNSETTLED', `${name} changed every time while it was copied`)
}

/** Of either kind; in the backup it is claims.json. One that was changed by hand goes in, too, and is held against the ledger like every other. */
async function readBook (path: string): Promise<{ text: string, sequence: number, claims: number } | null> {
  const reading = await readStanding(path)
  if (reading.state === 'absent') return null
  if (reading.state === 'damaged') throw permanent('STORE_CORRUPT', 'the book cannot be read')
  const { book } = reading
  return { text: `${JSON.stringify(book)}\n`, sequence: book.sequence, claims: book.claims.length }
}

async function removeOutdated (directory: string, now: Date): Promise<string[]> {
  const names = outdated(await readdir(directory), now)
  for (const name of names) {
    await rm(join(directory, name))
    await rm(join(directory, `${name}.sha256`), { force: true })
  }
  for (const name of (await readdir(directory)).filter((each) => each.startsWith(UNPACKED))) {
    if (now.getTime() - (await stat(join(directory, name))).mtimeMs > UNPACKED_MS_MAX) await rm(join(directory, name), { recursive: true, force: true })
  }
  return names
}

/** What a person is told of a failure: a code and words of ours. What others say may quote what they were given. */
export const wordsOf = (error: unknown): string => error instanceof Fault ? `${error.code}: ${error.message}` : `INTERNAL: ${(error as NodeJS.ErrnoException).code ?? (error as Error).name}`
