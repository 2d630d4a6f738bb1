// Decisions that claim-store's ledger takes in, against bare publishes of the same bytes with the same expected sequence; with nothing behind them, and with a million events.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { MsgHdrs } from '@nats-io/transport-node'
import { claimRequested } from '../../contracts/events/claims.ts'
import { natsSeeds, startKlaimNats, type KlaimNats } from '../../deploy/staging/klaim-nats.ts'
import { openLedger } from '../../services/claim-store/ledger.ts'
import { createMac } from '../../services/claim-store/mac.ts'
import { Projection } from '../../services/claim-store/projection.ts'
import { createBus, type Bus } from '../../services/common/bus.ts'
import { encodeEvent, MAC_HEADER } from '../../services/common/envelope.ts'
import { createLog } from '../../services/common/log.ts'
import { memberIdOf } from '../../services/common/member-id.ts'
import { createMetrics } from '../../services/common/metrics.ts'
import { atLeast, type Bench } from './bench.ts'
import { inFlight } from './crowd.ts'
import { filled, LEDGER_KEY, MEMBER_ID_KEY } from './history.ts'

const DECISIONS = 8_000
const AT_ONCE = 64
const WARM_UP = 1_000
const BEHIND = 1_000_000
const EVENTS_OF_ONE = 2

const mac = createMac(LEDGER_KEY)

interface Asking { readonly memberId: string, readonly waJid: string, readonly claimId: string }
const somebody = (): Asking => {
  const waJid = `62${String(Math.floor(Math.random() * 1e12)).padStart(12, '1')}@s.whatsapp.net`
  return { waJid, memberId: memberIdOf(MEMBER_ID_KEY, waJid), claimId: randomUUID() }
}

async function busOf (nats: KlaimNats): Promise<Bus> {
  return await createBus({ ...nats.playing('claim-store'), log: createLog('claim-store', 'fatal', () => {}), metrics: createMetrics('claim-store'), now: () => new Date() })
}

/** Decisions a second. */
async function decided (nats: KlaimNats, from: number, count: number): Promise<number> {
  const bus = await busOf(nats)
  const ledger = await openLedger({ bus, log: createLog('claim-store', 'fatal', () => {}), projection: new Projection(), mac, from, reflected: 0, now: () => new Date() })
  const decide = async (people: readonly Asking[]): Promise<void> => {
    await inFlight(people.length, AT_ONCE, async (n) => {
      const { memberId, waJid, claimId } = people[n] as Asking
      const { decision } = await ledger.execute(memberId, { type: 'Request', now: Date.now(), claimId, memberId, waJid, language: 'id', username: 'member', template: 'nodejs', templateVersion: 1, idempotencyKeyHash: undefined }, {})
      if (!decision.ok || !decision.happens) throw new Error('a new member was refused')
    })
  }
  const people = Array.from({ length: WARM_UP + count }, somebody)
  await decide(people.slice(0, WARM_UP))
  const began = performance.now()
  await decide(people.slice(WARM_UP))
  const rate = count / (performance.now() - began) * 1_000
  await ledger.close()
  await bus.close()
  return rate
}

/** The same events, made beforehand, put on the stream by the client alone. */
async function published (nats: KlaimNats, count: number): Promise<number> {
  const bus = await busOf(nats)
  const messages = Array.from({ length: WARM_UP + count }, () => {
    const { memberId, waJid, claimId } = somebody()
    const { id, headers: head, body } = encodeEvent(claimRequested, { key: claimId, author: 'claim-store', time: new Date(), correlation: claimId, causation: undefined, data: { claim_id: claimId, member_id: memberId, wa_jid: waJid, language: 'id', username: 'member', template: 'nodejs', template_version: 1 } })
    head.set(MAC_HEADER, mac.sign({ subject: `claims.${memberId}.requested`, id, type: claimRequested.type, time: new Date().toISOString(), body }))
    return { memberId, id, head, body }
  })
  const publish = async (some: typeof messages): Promise<void> => {
    await inFlight(some.length, AT_ONCE, async (n) => {
      const { memberId, id, head, body } = some[n] as { memberId: string, id: string, head: MsgHdrs, body: string }
      await bus.raw.js.publish(`claims.${memberId}.requested`, body, { msgID: id, headers: head, expect: { lastSubjectSequence: 0, lastSubjectSequenceSubject: `claims.${memberId}.*` } })
    })
  }
  await publish(messages.slice(0, WARM_UP))
  const began = performance.now()
  await publish(messages.slice(WARM_UP))
  const rate = count / (performance.now() - began) * 1_000
  await bus.close()
  return rate
}

const FLOOR = 'bare publish with the expected sequence'

export const ledger: Bench = {
  name: 'ledger', summary: 'decisions appended a second',
  run: async ({ directory, some }) => {
    const nats = await startKlaimNats({ storeDir: join(directory, 'nats') })
    const [raw, rate] = [await published(nats, some(DECISIONS)), await decided(nats, 0, some(DECISIONS))]
    await nats.close()
    return [{ what: 'ledger, decisions appended', unit: '1/s', value: rate, floor: { what: FLOOR, value: raw }, goal: atLeast(0.7, 'ratio') }]
  },
}

export const ledgerMillion: Bench = {
  name: 'million', summary: 'decisions appended a second with 1,000,000 events behind them', isSlow: true,
  run: async ({ directory, say, some }) => {
    const [short, long] = [join(directory, 'short'), join(directory, 'long')]
    const seeds = natsSeeds()
    say('stores 1,000,000 events')
    const events = await filled(long, seeds, some(BEHIND / EVENTS_OF_ONE))
    const measured = async (storeDir: string, from: number): Promise<{ raw: number, rate: number }> => {
      const nats = await startKlaimNats({ storeDir, seeds })
      const figures = { raw: await published(nats, some(DECISIONS)), rate: await decided(nats, from, some(DECISIONS)) }
      await nats.close()
      return figures
    }
    const [alone, behind] = [await measured(short, 0), await measured(long, events)]
    return [
      { what: 'ledger, decisions appended with 1,000,000 events behind them', unit: '1/s', value: behind.rate, floor: { what: FLOOR, value: behind.raw }, goal: atLeast(0.7, 'ratio') },
      { what: 'the same as a share of what an empty ledger takes', unit: '%', value: behind.rate / alone.rate * 100, goal: atLeast(90) },
    ]
  },
}
