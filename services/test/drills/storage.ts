// What NATS keeps, and the copies of it.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jetstream } from '@nats-io/jetstream'
import { STORED } from '../../../contracts/streams.ts'
import { connectNats } from '../../common/connect.ts'
import { withStreams } from '../crowd.ts'
import type { Drill } from './drill.ts'
import type { Field } from './field.ts'

const MIB = 1_048_576
/** Operators' requests: nobody reads this stream but operators. */
const STREAM = 'OPERATIONS'
const BALLAST = 'operations.drill.ballast'
const PIECE_BYTES = 7_000

/** A small limit for the stream, and 90 % of it filled. Answers how to take both back. */
async function fill ({ system }: Field, limitBytes: number): Promise<void> {
  await withStreams(system, async (jsm) => { await jsm.streams.update(STREAM, { max_bytes: limitBytes }) })
  const operator = await connectNats(system.nats.access('operator'), 'operator')
  const js = jetstream(operator)
  try {
    for (let left = Math.round(0.9 * limitBytes / (PIECE_BYTES + 100)); left > 0; left -= 100) await Promise.all(Array.from({ length: Math.min(left, 100) }, async () => await js.publish(BALLAST, 'x'.repeat(PIECE_BYTES))))
  } finally {
    await operator.close()
  }
}

async function unload ({ system }: Field): Promise<void> {
  await withStreams(system, async (jsm) => { await jsm.streams.purge(STREAM, { filter: BALLAST }) })
  await system.nats.restoreTopology()
}

export const storageDrills: readonly Drill[] = [
  {
    alert: 'StreamFilling', fault: `somebody says the same again and again on ${STREAM}, until a limit of 4 MiB is used to 90 %`, nearest: 'the limit is 64 MiB in production', mitigation: 'a backup, then a higher limit for the stream',
    labels: { stream: STREAM }, inPlaceOf: [['CLAIMS', STREAM]], shows: /\n +Bytes: 3\.\d MiB/,
    scene: async (field) => ({
      cause: async () => { await fill(field, 4 * MIB) },
      mend: async (entry) => {
        await field.follow(entry.command('Mitigation', /scripts\/backup/))
        await field.follow(entry.command('Mitigation', /stream edit/).replace('CLAIMS', STREAM).replace('4GiB', '64MiB'))
      },
      end: async () => { await unload(field) },
    }),
  },
  {
    alert: 'JetStreamStorageHigh', fault: `every stream and bucket may hold 1 MiB only, and ${STREAM} 256 MiB, of which 90 % are used`, nearest: 'the limits are 4.2 GiB together in production', mitigation: 'the limits that belong to this version (`scripts/topology`), and a purge of what nobody needs',
    shows: /OPERATIONS/,
    scene: async (field) => ({
      cause: async () => {
        await withStreams(field.system, async (jsm) => { for (const stream of STORED) if (stream !== STREAM) await jsm.streams.update(stream, { max_bytes: MIB }) })
        await fill(field, 256 * MIB)
      },
      mend: async () => { await unload(field) },
    }),
  },
  {
    alert: 'BackupStale', fault: 'the file is gone in which scripts/backup says how old the newest backup is, as on a new machine', mitigation: '`scripts/backup`', shows: /grep '\^klaim_backup'\n\(ended with 1\)/,
    scene: async ({ prometheus, follow }) => ({
      cause: async () => { rmSync(join(prometheus.textfiles, 'klaim_backup.prom')) },
      mend: async (entry) => { await follow(entry.command('Mitigation', /scripts\/backup/)) },
    }),
  },
  {
    alert: 'BackupStale', variant: '13h', fault: 'nobody makes backups any more', mitigation: '`scripts/backup`', shows: /^klaim_backup_verified_timestamp_seconds \S+$/m, firesMsMax: 1_200_000, meanwhile: true,
    scene: async ({ timer, follow }) => {
      await timer.end()
      await follow('scripts/backup')
      return {
        cause: async () => {},
        mend: async (entry) => {
          await follow(entry.command('Mitigation', /scripts\/backup/))
          timer.begin()
        },
      }
    },
  },
  {
    alert: 'BackupUnverified', fault: 'somebody edits the book, and a backup is made', mitigation: 'claim-store is stopped, the book set aside, claim-store started (`BOOK_DIFFERS`); then `scripts/backup`', shows: /BOOK_DIFFERS.*/,
    scene: async ({ system, directory, run, follow }) => {
      const book = join(directory, 'system', 'book', 'claims.json')
      return {
        cause: async () => {
          writeFileSync(book, readFileSync(book, 'utf8').replace('"status":"active"', '"status":"deleted"'))
          await run('scripts/backup')
        },
        mend: async (entry) => {
          await system.kill('claim-store', 'SIGTERM')
          renameSync(book, `${book}.aside`)
          await system.start('claim-store')
          await follow(entry.command('Diagnosis', /scripts\/backup/))
        },
      }
    },
  },
]
