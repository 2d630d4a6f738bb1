// How long claim-store takes to be ready again: with its book, and without, when it reads the whole ledger.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { LEDGER_STREAM } from '../../contracts/access.ts'
import { natsSeeds, startKlaimNats, type KlaimNats } from '../../deploy/staging/klaim-nats.ts'
import { placesOf } from '../../services/claim-store/book-file.ts'
import { connectNats } from '../../services/common/connect.ts'
import { pageOf } from '../../services/common/page.ts'
import { atLeast, atMost, type Bench, type Figure } from './bench.ts'
import { filled, LEDGER_KEY, MEMBER_ID_KEY } from './history.ts'
import { startService } from './service-process.ts'

const SIZES = [{ claims: 10_000, secondsMax: 1, kind: 'json' }, { claims: 100_000, secondsMax: 3, kind: 'sqlite' }] as const
const EVENTS_PER_SECOND_MIN = 50_000
const PAGE = 1_000

/** Every message of the stream, by pages, and nothing done with it; events a second. */
async function readOnly (nats: KlaimNats, events: number): Promise<number> {
  const connection = await connectNats(nats.access('operator'), 'operator')
  const jsm = await jetstreamManager(connection)
  const began = performance.now()
  let read = 0
  for (let next = 1; read < events;) {
    const page = await pageOf(jsm, LEDGER_STREAM, { from: next, size: PAGE })
    next = (page.at(-1)?.seq ?? next) + 1
    read += page.length
  }
  const rate = read / (performance.now() - began) * 1_000
  await connection.close()
  return rate
}

export const start: Bench = {
  name: 'start', summary: 'start of claim-store with 10,000 and 100,000 claims, with a book and without',
  run: async ({ directory, say, some }) => {
    const figures: Figure[] = []
    for (const { claims, secondsMax, kind } of SIZES) {
      const at = join(directory, String(claims))
      mkdirSync(join(at, 'book'), { recursive: true, mode: 0o700 })
      const seeds = natsSeeds()
      say(`stores ${claims} claims`)
      const events = await filled(join(at, 'nats'), seeds, some(claims))
      const nats = await startKlaimNats({ storeDir: join(at, 'nats'), seeds })
      const book = join(at, 'book', 'claims.json')
      const places = placesOf(book)
      const env = { ...nats.env('claim-store'), MEMBER_ID_KEY, LEDGER_KEYS: LEDGER_KEY, BOOK_FILE: book, GRACE_MS: '14400000' }
      const reading = await readOnly(nats, events)
      if (kind === 'sqlite') writeFileSync(places.wish, 'sqlite\n')
      const rebuilt = await startService('claim-store', env, at)
      await rebuilt.stop()
      const withBook = await startService('claim-store', env, at)
      await withBook.stop()
      // The process itself, with nothing to read.
      await nats.close()
      const empty = await startKlaimNats()
      rmSync(places[kind])
      const bare = await startService('claim-store', { ...env, ...empty.env('claim-store'), BOOK_FILE: join(at, 'book', 'empty.json') }, at)
      await bare.stop()
      await empty.close()
      figures.push(
        { what: `claim-store ready with a book of ${claims.toLocaleString('en-US')} claims`, unit: 's', value: withBook.readyMs / 1_000, floor: { what: 'with an empty ledger', value: bare.readyMs / 1_000 }, goal: atMost(secondsMax) },
        { what: `claim-store without a book, ${events.toLocaleString('en-US')} events`, unit: '1/s', value: events / (rebuilt.readyMs - bare.readyMs) * 1_000, floor: { what: 'reading the stream', value: reading }, goal: atLeast(EVENTS_PER_SECOND_MIN) },
      )
    }
    return figures
  },
}
