// A backup back onto the installation, with every service stopped. The streams of what.ts belong together, so all of them are replaced by one
// moment, also where only one was lost: half of a later time would hold effects whose cause is gone, and sequences that were given twice.
// The mark of the topology is taken away first and put back last, so services wait however this ends, and it may be run again.
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { isOver } from '../../contracts/codes.ts'
import { topologyBucket } from '../../contracts/streams.ts'
import type { BookEntry } from '../../contracts/requests.ts'
import { readBook as readStanding, setAside, type BookFile } from '../../services/claim-store/book-file.ts'
import { permanent } from '../../services/common/fault.ts'
import { ensureTopology } from '../../services/common/topology.ts'
import { runningServices } from '../rekey/rekey.ts'
import { unpack } from './archive.ts'
import { managerOf } from './manager.ts'
import { BOOK, type Manifest } from './manifest.ts'
import { restoreStreams } from './restoring.ts'
import { COPIED, EMPTIED, READ_AGAIN, SESSION, streamOf } from './what.ts'

export interface RestoreOptions { readonly connection: NatsConnection, readonly path: string, readonly bookFile: string, readonly replicas: number, readonly now: () => Date }

export interface Survey {
  readonly manifest: Manifest
  readonly streams: ReadonlyArray<{ readonly name: string, readonly there: { readonly messages: number, readonly last: number } | null, readonly restored: { readonly messages: number, readonly last: number } | null }>
  /** What has to be said to have it overwritten; undefined where nothing is there. */
  readonly overwriting: string | undefined
  readonly hasSession: boolean
  /** What the book of today knows and the backup does not: servers that nobody will have, and claims that were over. */
  readonly unknown: readonly BookEntry[]
}

const STREAM_NOT_FOUND = 10059

/** Reads and checks, and changes nothing on NATS. Permanent Faults RESTORE_REFUSED, BACKUP_DAMAGED. */
export async function survey (options: RestoreOptions): Promise<Survey> {
  return await unpacked(options, async (files, manifest) => await look(options, files, manifest))
}

/** `overwriting` is what the survey said, or undefined. Answers where the book of today is now. */
export async function restore (options: RestoreOptions, overwriting: string | undefined): Promise<{ survey: Survey, bookAside: string | undefined }> {
  const { connection, bookFile, replicas, now } = options
  return await unpacked(options, async (files, manifest) => {
    const found = await look(options, files, manifest)
    if (found.overwriting !== overwriting) throw permanent('RESTORE_REFUSED', found.overwriting === undefined ? 'there is nothing to overwrite: leave --overwriting out' : 'what is there is not what --overwriting names: look at it once more')
    const jsm = await managerOf(connection)
    await remove(jsm, streamOf(topologyBucket))
    for (const name of [...COPIED, ...EMPTIED]) await remove(jsm, name)
    await restoreStreams(connection, files, manifest, replicas)
    for (const [stream, consumer] of READ_AGAIN) await jsm.consumers.delete(stream, consumer)
    // The book of another time would stop claim-store (LEDGER_BEHIND_BOOK); it is written anew from the ledger. Under this name claim-store removes it after 30 days.
    const bookAside = await setAside(bookFile, now())
    await ensureTopology(connection, replicas)
    return { survey: found, bookAside }
  })
}

async function unpacked<Answer> ({ path }: RestoreOptions, use: (files: string, manifest: Manifest) => Promise<Answer>): Promise<Answer> {
  // Beside the backup: what is in it is as secret there.
  const work = await mkdtemp(join(dirname(path), '.restore-'))
  try {
    const files = join(work, 'files')
    return await use(files, await unpack(path, files))
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function look ({ connection, bookFile }: RestoreOptions, files: string, manifest: Manifest): Promise<Survey> {
  const running = await runningServices(connection)
  if (running.length > 0) throw permanent('RESTORE_REFUSED', `still running: ${running.join(', ')}; stop every service`)
  const jsm = await managerOf(connection)
  const streams = await Promise.all([...COPIED, ...EMPTIED].map(async (name) => {
    const copied = manifest.streams.find((stream) => stream.name === name)
    return { name, there: await stateOf(jsm, name), restored: copied ? { messages: copied.messages, last: copied.last_sequence } : null }
  }))
  const missing = COPIED.filter((name) => !manifest.streams.some((stream) => stream.name === name))
  if (missing.length > 0) throw permanent('RESTORE_REFUSED', `the backup lacks ${missing.join(', ')}: it was made by another version`)
  const inTheWay = streams.filter(({ there }) => there !== null && there.messages > 0).map(({ name, there }) => [name, there?.messages, there?.last])
  const { claims: backedUp } = await readBook(join(files, BOOK))
  const { claims: today } = await readBook(bookFile)
  const known = new Set(backedUp.map(({ claim_id }) => claim_id))
  return {
    manifest, streams,
    overwriting: inTheWay.length === 0 ? undefined : createHash('sha256').update(JSON.stringify(inTheWay)).digest('hex').slice(0, 8),
    hasSession: ((await stateOf(jsm, SESSION))?.messages ?? 0) > 0,
    unknown: today.filter(({ claim_id, status }) => !known.has(claim_id) && !isOver(status)),
  }
}

export async function stateOf (jsm: JetStreamManager, name: string): Promise<{ messages: number, last: number } | null> {
  try {
    const { state } = await jsm.streams.info(name)
    return { messages: state.messages, last: state.last_seq }
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return null
    throw error
  }
}

export async function remove (jsm: JetStreamManager, name: string): Promise<void> {
  if (await stateOf(jsm, name)) await jsm.streams.delete(name)
}

/** A book that cannot be read tells nothing. */
async function readBook (path: string): Promise<Pick<BookFile, 'claims'>> {
  const reading = await readStanding(path).catch(() => null)
  return reading && 'book' in reading ? reading.book : { claims: [] }
}
