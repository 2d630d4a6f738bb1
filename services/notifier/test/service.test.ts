import t from 'tap'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { claimActivated, claimDeleted, claimErased, claimFailed, deletionCancelled, deletionScheduled } from '../../../contracts/events/claims.ts'
import { messageOutbound } from '../../../contracts/events/messages.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { filesHolding } from '../../../deploy/staging/nats/files.ts'
import { getClaim } from '../../../contracts/requests.ts'
import { answering, createBus } from '../../common/bus.ts'
import { sayCaused } from '../../common/test/because.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'
import { start } from '../main.ts'
import type { ServiceName } from '../../../contracts/define.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())
const lines: string[] = []
const log = createLog('notifier', 'trace', (line) => lines.push(line))
const busOf = async (service: ServiceName) => await createBus({ ...nats.playing(service), log, metrics: createMetrics(service), now: () => new Date() })
const claimStore = await busOf('claim-store')
t.teardown(() => claimStore.close())
const config = {
  ...nats.env('notifier'), LOG_LEVEL: 'info', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0, STOP_TIMEOUT_MS: 1_000,
  MESSAGES_DIR: join(import.meta.dirname, '../../../config/messages'), PANEL_PUBLIC_URL: 'https://panel.example',
}
const runtime = { log, metrics: createMetrics('notifier'), now: () => new Date() }

const claim_id = randomUUID()
const delete_job_id = `${claim_id}-d1`
const due = '2026-11-24T02:30:00.000Z'
const claim = { claim_id, member_id: 'abcdefghijklmnopqrst', wa_jid: '6281200000001@s.whatsapp.net', language: 'en' as const }
const server = {
  user_id: 7, server_id: 8, allocation_id: 9, identifier: 'abcd1234', address: { host: 'node.example', port: 25565 },
  username: 'member1', sealed_password: 'aaaa..bbbb.cccc.dddd', template: 'nodejs',
}

/** Resolves when the notifier has acknowledged everything that was said. */
async function settled (): Promise<void> {
  for (;;) {
    const { num_pending, num_ack_pending } = await claimStore.raw.jsm.consumers.info('CLAIMS', 'notifier-claims')
    if (num_pending + num_ack_pending === 0) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
const stored = async () => (await claimStore.raw.jsm.streams.info('MESSAGES')).state.messages

t.test('each event becomes one notice', async (t) => {
  const notifier = await start(config, runtime)
  await sayCaused(claimStore, claimActivated, { key: claim_id, data: { ...claim, ...server }, correlation: claim_id })
  await sayCaused(claimStore, claimFailed, { key: claim_id, data: { ...claim, code: 'NODE_DOWN', step: 'create' }, correlation: claim_id })
  await sayCaused(claimStore, deletionScheduled, { key: delete_job_id, data: { ...claim, delete_job_id, deletion_scheduled_at: due, left_at: due, reason: 'left' }, correlation: claim_id })
  await sayCaused(claimStore, deletionCancelled, { key: delete_job_id, data: { ...claim, delete_job_id, reason: 'returned' }, correlation: claim_id })
  await sayCaused(claimStore, claimDeleted, { key: delete_job_id, data: { ...claim, delete_job_id, user_deleted: true }, correlation: claim_id })
  await settled()
  t.equal(await stored(), 5)
  const login = await claimStore.last('MESSAGES', `messages.outbound.login-${claim_id}`, [messageOutbound])
  t.match(login?.event, { id: `message.outbound.v1:login-${claim_id}`, author: 'notifier', correlation: claim_id, causation: `claim.activated.v1:${claim_id}` })
  t.match(login?.event.data, { kind: 'login', language: 'en', wa_jid: claim.wa_jid, sealed_password: server.sealed_password })
  for (const id of [`failed-${claim_id}`, `leave-${delete_job_id}-1795487400`, `cancelled-${delete_job_id}`, `deleted-${delete_job_id}`]) {
    t.not(await claimStore.lastSequence('MESSAGES', `messages.outbound.${id}`), 0, id.replace(claim_id, '<claim>'))
  }
  t.same(await Promise.resolve(notifier.checks['nats']?.()), 'ok')
  await notifier.stop()
})

t.test('events that come twice become nothing more', async (t) => {
  await claimStore.raw.jsm.consumers.delete('CLAIMS', 'notifier-claims')
  await nats.restoreTopology()
  const again = await start(config, runtime)
  await settled()
  t.equal(await stored(), 5)
  await again.stop()
})

t.test('a warning for a new time is a new notice', async (t) => {
  const notifier = await start(config, runtime)
  await sayCaused(claimStore, deletionScheduled, {
    key: `${delete_job_id}:2`, correlation: claim_id,
    data: { ...claim, delete_job_id, deletion_scheduled_at: '2026-11-24T05:00:00.000Z', left_at: due, reason: 'outage' },
  })
  await settled()
  t.equal(await stored(), 6)
  await notifier.stop()
})

t.test('the notices of a member who is erased', async (t) => {
  const inStore = (text: string) => filesHolding(join(nats.storeDir, 'jetstream', 'KLAIM', 'streams', 'MESSAGES'), text)
  const notifier = await start(config, runtime)
  const other = { claim_id: randomUUID(), member_id: 'tsrqponmlkjihgfedcba', wa_jid: '6281200000002@s.whatsapp.net', language: 'en' as const }
  await claimStore.respond([answering(getClaim, async () => ({ ok: false as const, rejection: 'NOT_FOUND' as const }))])
  await sayCaused(claimStore, claimFailed, { key: other.claim_id, data: { ...other, code: 'NODE_DOWN', step: 'create' }, correlation: other.claim_id })
  await settled()
  t.ok(inStore(claim.wa_jid).length > 0 && inStore(other.wa_jid).length > 0)
  await claimStore.publish(claimErased, { key: claim_id, data: { member_id: claim.member_id, claims: [{ claim_id, departures: 1 }], reason: 'asked' } })
  await settled()
  t.equal(await stored(), 1)
  t.same([claim.wa_jid, claim_id, claim.member_id, 'cccc'].map(inStore), [[], [], [], []], 'are gone, and so are their bytes')
  t.ok(inStore(other.wa_jid).length > 0, 'those of others stay')
  await notifier.stop()
})

t.test('the log holds no number', async (t) => {
  t.ok(lines.some((line) => line.includes('"event":"message.outbound"')))
  t.notOk(lines.some((line) => line.includes('6281200000001') || line.includes('cccc')))
})
