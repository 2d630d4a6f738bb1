import { claimStoreDeletions, claimStoreErased, claimStoreMembers, claimStoreServers, maxAgeMsOf } from '../../contracts/streams.ts'
import { startAging } from '../common/aging.ts'
import { createBus } from '../common/bus.ts'
import { natsOf } from '../common/connect.ts'
import { every } from '../common/every.ts'
import { codeOf } from '../common/fault.ts'
import { memberIdOf } from '../common/member-id.ts'
import { run, type Start } from '../common/run.ts'
import { openBook } from './book.ts'
import { Config } from './config.ts'
import { checkKey } from './key-check.ts'
import { createDiscard } from './dead-letters.ts'
import { openLedger, type Ledger } from './ledger.ts'
import { createErasure } from './ledger-erasure.ts'
import { createMac } from './mac.ts'
import { countDecision, createClaimStoreMetrics } from './metrics.ts'
import { Projection } from './projection.ts'
import { DAY_MS } from './retention.ts'
import { createClaimService } from './service.ts'
import { watchStreamSizes } from './stream-sizes.ts'

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
  const projection = new Projection()
  const own = createClaimStoreMetrics(metrics.registry, { views: () => projection.views(), now: () => bus.clock.now().getTime() })

  let ledger: Ledger | undefined // read by the book's writer, which starts first
  const book = await openBook({
    path: config.BOOK_FILE, log, everyMs: config.BOOK_EVERY_MS, believedMs: WORD_KEPT_MS, now,
    // Until the replay has begun the book reflects what it says it reflects; one that is not believed is left as it is.
    sequence: () => ledger?.sequence() ?? book.loaded?.sequence,
    onWritten: ({ kind, claims, bytes, seconds }) => {
      own.bookClaims.reset()
      own.bookClaims.set({ kind }, claims)
      own.bookBytes.set(bytes)
      own.bookSeconds.observe(seconds)
    },
  })
  for (const entry of book.loaded?.claims ?? []) projection.adopt({ ...entry, member_id: memberIdOf(config.MEMBER_ID_KEY, entry.wa_jid) })
  projection.onChange((view) => { book.note(view) })
  projection.onForgotten((claimId) => { book.forget(claimId) })
  try {
    ledger = await openLedger({ bus, log, projection, mac, from: book.loaded?.sequence ?? 0, reflected: book.reflected, now: () => bus.clock.now(), onDecided: (claim, event, at) => { countDecision(own, claim, event, at) } })
  } catch (error) {
    await bus.close()
    await book.close()
    throw error
  }
  log.info({ sequence: ledger.sequence(), from_book: book.loaded?.claims.length ?? 0 }, 'ledger is read')

  const { responders, serverHandlers, memberHandlers, deletionHandlers } = createClaimService({ ledger, bus, log, memberIdKey: config.MEMBER_ID_KEY, graceMs: config.GRACE_MS, now })
  await bus.respond([...responders, createDiscard(bus, (claimId) => projection.view(claimId)?.member_id, log)])
  bus.consume(claimStoreServers, serverHandlers)
  bus.consume(claimStoreMembers, memberHandlers)
  bus.consume(claimStoreDeletions, deletionHandlers)
  const erasure = createErasure({ bus, ledger, mac, book, retentionMs: config.RETENTION_DAYS * DAY_MS, wordKeptMs: WORD_KEPT_MS, now, log })
  bus.consume(claimStoreErased, erasure.handlers)

  const sizes = watchStreamSizes({ bus, metrics: own, log })
  const aging = startAging({ bus, what: [{ stream: 'DEAD_LETTERS', filter: 'dead.>', maxAgeMs: maxAgeMsOf('DEAD_LETTERS') }, { stream: 'OPERATIONS', filter: 'operations.>', maxAgeMs: maxAgeMsOf('OPERATIONS') }], now, log })
  const sweeping = every(SWEEP_EVERY_MS, async (signal) => {
    await erasure.sweep(signal).catch((error: unknown) => { log.warn({ code: codeOf(error), err: error }, 'the sweep of former members was interrupted') })
  }, { atOnce: true })

  return {
    checks: { nats: () => bus.isConnected() ? 'ok' : 'disconnected' },
    stop: async () => {
      await sweeping.stop()
      await Promise.all([aging.stop(), sizes.stop()])
      await ledger.close()
      await bus.close()
      await book.close()
    },
  }
}

export const main = async (): Promise<void> => { await run('claim-store', Config, start) }
if (import.meta.main) await main()
