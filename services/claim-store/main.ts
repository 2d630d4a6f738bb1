import { Gauge, Histogram } from 'prom-client'
import { claimStoreDeletions, claimStoreErased, claimStoreMembers, claimStoreServers, maxAgeMsOf } from '../../contracts/streams.ts'
import { startAging } from '../common/aging.ts'
import { createBus } from '../common/bus.ts'
import { natsOf } from '../common/connect.ts'
import { codeOf } from '../common/fault.ts'
import { memberIdOf } from '../common/member-id.ts'
import { run, type Start } from '../common/run.ts'
import { openBook } from './book.ts'
import { Config } from './config.ts'
import { checkKey } from './key-check.ts'
import { openLedger, type Ledger } from './ledger.ts'
import { createErasure } from './ledger-erasure.ts'
import { createMac } from './mac.ts'
import { Projection } from './projection.ts'
import { entryOf } from './record.ts'
import { DAY_MS } from './retention.ts'
import { createClaimService } from './service.ts'

/** A book that was not written for as long may know members who were erased, and could not learn of it any more. */
const WORD_KEPT_MS = 30 * DAY_MS
const SWEEP_EVERY_MS = 3_600_000

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
    path: config.BOOK_FILE, log, everyMs: config.BOOK_EVERY_MS, believedMs: WORD_KEPT_MS, now,
    // Until the replay has begun the book reflects what it says it reflects; one that is not believed is left as it is.
    sequence: () => ledger?.sequence() ?? book.loaded?.sequence,
    onWritten: ({ bytes, seconds }) => { bookBytes.set(bytes); bookSeconds.observe(seconds) },
  })
  const projection = new Projection()
  for (const entry of book.loaded?.claims ?? []) projection.adopt({ ...entry, member_id: memberIdOf(config.MEMBER_ID_KEY, entry.wa_jid) })
  projection.onChange((view) => { book.note(entryOf(view)) })
  projection.onForgotten((claimId) => { book.forget(claimId) })
  try {
    ledger = await openLedger({ bus, log, projection, mac, from: book.loaded?.sequence ?? 0, reflected: book.reflected, now })
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
  const erasure = createErasure({ bus, ledger, mac, book, retentionMs: config.RETENTION_DAYS * DAY_MS, wordKeptMs: WORD_KEPT_MS, now, log })
  bus.consume(claimStoreErased, erasure.handlers)

  const aging = startAging({ bus, what: [{ stream: 'DEAD_LETTERS', filter: 'dead.>', maxAgeMs: maxAgeMsOf('DEAD_LETTERS') }], now, log })
  const stopping = new AbortController()
  let sweeping: Promise<void> | undefined
  const sweep = (): void => {
    sweeping ??= erasure.sweep(stopping.signal).catch((error: unknown) => { log.warn({ code: codeOf(error), err: error }, 'the sweep of former members was interrupted') }).finally(() => { sweeping = undefined })
  }
  sweep()
  const sweeper = setInterval(sweep, SWEEP_EVERY_MS)

  return {
    checks: { nats: () => bus.isConnected() ? 'ok' : 'disconnected' },
    stop: async () => {
      clearInterval(sweeper)
      stopping.abort()
      await sweeping
      await aging.stop()
      await ledger.close()
      await bus.close()
      await book.close()
    },
  }
}

if (import.meta.main) await run('claim-store', Config, start)
