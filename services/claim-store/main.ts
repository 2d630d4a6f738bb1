import { Gauge, Histogram } from 'prom-client'
import { claimStoreDeletions, claimStoreMembers, claimStoreServers } from '../../contracts/streams.ts'
import { createBus } from '../common/bus.ts'
import { natsOf } from '../common/connect.ts'
import { memberIdOf } from '../common/member-id.ts'
import { run, type Start } from '../common/run.ts'
import { openBook } from './book.ts'
import { Config } from './config.ts'
import { checkKey } from './key-check.ts'
import { openLedger, type Ledger } from './ledger.ts'
import { createMac } from './mac.ts'
import { Projection } from './projection.ts'
import { entryOf } from './record.ts'
import { createClaimService } from './service.ts'

export const start: Start<Config> = async (config, { log, metrics, now }) => {
  const mac = createMac(config.LEDGER_KEYS)
  const bus = await createBus({ ...natsOf(config), service: 'claim-store', log, metrics, now })
  try {
    await checkKey(bus, mac, config.MEMBER_ID_KEY)
  } catch (error) {
    await bus.close()
    throw error
  }
  const registers = [metrics.registry]
  const bookBytes = new Gauge({ name: 'klaim_book_bytes', help: 'Size of the book', registers })
  const bookSeconds = new Histogram({ name: 'klaim_book_write_seconds', help: 'Time to write the book', buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3], registers })

  let ledger: Ledger | undefined // read by the book's writer, which starts first
  const book = await openBook({
    path: config.BOOK_FILE, log, everyMs: config.BOOK_EVERY_MS,
    // Until the replay has begun the book reflects what it says it reflects.
    sequence: () => ledger?.sequence() ?? book.loaded?.sequence ?? 0,
    onWritten: ({ bytes, seconds }) => { bookBytes.set(bytes); bookSeconds.observe(seconds) },
  })
  const projection = new Projection()
  for (const entry of book.loaded?.claims ?? []) projection.adopt({ ...entry, member_id: memberIdOf(config.MEMBER_ID_KEY, entry.wa_jid) })
  projection.onChange((view) => { book.note(entryOf(view)) })
  try {
    ledger = await openLedger({ bus, log, projection, mac, from: book.loaded?.sequence ?? 0, now })
  } catch (error) {
    await bus.close()
    await book.close()
    throw error
  }
  log.info({ sequence: ledger.sequence(), fromBook: book.loaded?.claims.length ?? 0 }, 'ledger is read')

  const { responders, serverHandlers, memberHandlers, deletionHandlers } = createClaimService({ ledger, bus, log, memberIdKey: config.MEMBER_ID_KEY, graceMs: config.GRACE_MS, now })
  await bus.respond(responders)
  bus.consume(claimStoreServers, serverHandlers)
  bus.consume(claimStoreMembers, memberHandlers)
  bus.consume(claimStoreDeletions, deletionHandlers)

  return {
    checks: { nats: () => bus.isConnected() ? 'ok' : 'disconnected' },
    stop: async () => {
      await ledger.close()
      await bus.close()
      await book.close()
    },
  }
}

if (import.meta.main) await run('claim-store', Config, start)
