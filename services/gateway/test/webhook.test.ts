import t, { type Test } from 'tap'
import { createHash, createHmac, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import { deletionScheduled } from '../../../contracts/events/claims.ts'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { createClaim } from '../../../contracts/requests.ts'
import { noncesBucket } from '../../../contracts/streams.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { start as startClaimStore } from '../../claim-store/main.ts'
import { createBus, type Bus } from '../../common/bus.ts'
import { loadConfig } from '../../common/config.ts'
import { createLog } from '../../common/log.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { createMetrics, type Metrics } from '../../common/metrics.ts'
import { scratch } from '../../common/test/scratch.ts'
import { Config } from '../config.ts'
import type { App } from '../gateway.ts'
import { start } from '../main.ts'
import { createWebhook, webhookSettings } from '../webhook.ts'
import { signatureOf } from '../webhook-signature.ts'
import { startWorld } from './world.ts'

const world = await startWorld(t)
const root = join(import.meta.dirname, '../../..')
const [OLD, NEW] = ['o'.repeat(32), 'n'.repeat(32)]
const MEMBER_ID_KEY = 'k'.repeat(32)
const GROUP_ID = '120363000000000001@g.us'
const PATH = '/api/whatsapp-webhook'
const MOVEMENTS = [memberJoined, memberLeft]

let number = 6281200000100
const notice = (fields: Record<string, unknown> = {}) => ({ event: 'leave', wa_jid: `${++number}@s.whatsapp.net`, group_id: GROUP_ID, occurred_at: new Date().toISOString(), nonce: randomUUID(), ...fields })
const seconds = (at = Date.now()): string => String(Math.floor(at / 1_000))

async function busOf (t: Test, nats = world.nats, service: 'gateway' | 'operator' = 'gateway'): Promise<Bus> {
  const bus = await createBus({ ...nats.playing(service), log: createLog(service, 'trace', (line) => world.logLines.push(line)), metrics: createMetrics(service), now: () => new Date() })
  t.teardown(() => bus.close())
  return bus
}

/** A gateway with a webhook and a connection of its own. */
async function gateway (t: Test, options: { secrets?: string, now?: () => Date, bus?: Bus, asksPerMinute?: number } = {}): Promise<App & { klaimMetrics: Metrics }> {
  const { secrets = OLD, now = () => new Date(), bus = await busOf(t), asksPerMinute = 1_000 } = options
  const settings = webhookSettings({ WEBHOOK_SECRETS: secrets, GROUP_ID, MEMBER_ID_KEY })
  if (!settings) throw new Error('there are secrets')
  return await world.app(t, { RATE_LIMIT_STATUS_PER_MINUTE: asksPerMinute }, { bus, now, webhook: await createWebhook({ settings, bus, now }) })
}

/** Answers status and code of the error, '202' where there is none. */
async function tell (app: App, body: object | string | Buffer, { secret = OLD, timestamp = seconds(), headers = {} }: { secret?: string, timestamp?: string, headers?: Record<string, string | undefined> } = {}): Promise<string> {
  const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  const given = { 'content-type': 'application/json', 'x-timestamp': timestamp, 'x-signature': signatureOf(secret, timestamp, Buffer.from(payload)), ...headers }
  const answer = await app.inject({ method: 'POST', url: PATH, payload, headers: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Record<string, string> })
  const { error } = answer.json() as { error?: { code: string, message: string, field?: string } }
  if (answer.statusCode === 503 && answer.headers['retry-after'] === undefined) return '503 without Retry-After'
  return error ? [answer.statusCode, error.code, error.field].filter((part) => part !== undefined).join(' ') : String(answer.statusCode)
}

/** The events that are stored about somebody, as their types. */
async function stored (bus: Bus, { wa_jid }: { wa_jid: string }): Promise<number> {
  const { state } = await bus.raw.jsm.streams.info('MEMBERS', { subjects_filter: `members.${memberIdOf(MEMBER_ID_KEY, wa_jid)}.*` })
  return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0)
}

t.test('a join and a leave are stored as events', async (t) => {
  const bus = await busOf(t)
  const app = await gateway(t, { bus })
  for (const [event, definition] of [['join', memberJoined], ['leave', memberLeft]] as const) {
    const said = notice({ event, occurred_at: '2026-03-01T12:00:00Z' })
    t.equal(await tell(app, said), '202')
    const member_id = memberIdOf(MEMBER_ID_KEY, said.wa_jid)
    const found = await bus.last('MEMBERS', `members.${member_id}.*`, MOVEMENTS)
    t.match([found?.definition.type, found?.event.author, found?.event.data], [definition.type, 'gateway', {
      member_id, wa_jid: said.wa_jid, group_id: GROUP_ID, occurred_at: '2026-03-01T12:00:00.000Z', observed_by: 'webhook',
    }])
  }
})

t.test('what is refused', async (t) => {
  const bus = await busOf(t)
  const app = await gateway(t, { bus })
  const before = await bus.lastSequence('MEMBERS', 'members.*.left')
  const untouched = notice()
  t.equal(await tell(app, untouched, { secret: NEW }), '401 INVALID_SIGNATURE', 'another secret')
  t.equal(await tell(app, untouched, { headers: { 'x-signature': undefined } }), '401 INVALID_SIGNATURE', 'no signature')
  const fitting = signatureOf(OLD, seconds(), Buffer.from(JSON.stringify(untouched)))
  for (const [what, signature] of Object.entries({ 'an empty signature': '', 'its first byte': fitting.slice(0, 2), 'half of it': fitting.slice(0, 32), 'more than it': `${fitting}00`, 'what is no hex': `${fitting.slice(0, 63)}g` })) {
    t.equal(await tell(app, untouched, { headers: { 'x-signature': signature } }), '401 INVALID_SIGNATURE', what)
  }
  t.equal(await tell(app, untouched, { headers: { 'x-timestamp': undefined } }), '401 INVALID_SIGNATURE', 'no timestamp')
  t.equal(await tell(app, untouched, { headers: { 'x-timestamp': String(Number(seconds()) + 1) } }), '401 INVALID_SIGNATURE', 'another timestamp than was signed')
  t.equal(await tell(app, untouched, { secret: NEW, timestamp: '1' }), '401 INVALID_SIGNATURE', 'who cannot sign learns nothing about our clock')
  t.equal(await tell(app, untouched, { timestamp: '1e9' }), '401 INVALID_SIGNATURE', 'a timestamp that is no whole number')
  t.equal(await tell(app, 'no JSON', { headers: { 'x-signature': '0'.repeat(64) } }), '401 INVALID_SIGNATURE', 'a body is not read before its signature fits')
  t.equal(await tell(app, notice({ group_id: '120363000000000002@g.us' })), '400 WRONG_GROUP group_id')
  t.equal(await tell(app, notice({ event: 'promote' })), '400 INVALID_REQUEST event')
  t.equal(await tell(app, notice({ nonce: undefined })), '400 INVALID_REQUEST', 'no nonce')
  t.equal(await tell(app, notice({ nonce: 'a.nonce.that.is.no.key' })), '400 INVALID_REQUEST nonce')
  t.equal(await tell(app, notice({ wa_jid: '6281200000001@lid' })), '400 INVALID_REQUEST wa_jid')
  t.equal(await tell(app, notice({ occurred_at: '2026-13-45T00:00:00Z' })), '400 INVALID_REQUEST occurred_at', 'a day that is none')
  t.equal(await tell(app, notice({ occurred_at: new Date(Date.now() + 120_000).toISOString() })), '400 INVALID_REQUEST occurred_at', 'a leave in the future')
  t.match(await tell(app, notice({ more: 1 })), /^400 INVALID_REQUEST/, 'a field too many')
  t.equal(await tell(app, Buffer.concat([Buffer.from(JSON.stringify(notice())), Buffer.from([0xff])])), '400 INVALID_REQUEST', 'bytes that are no text')
  for (const body of ['', '{', 'null', '[]', '"leave"']) t.equal(await tell(app, body), '400 INVALID_REQUEST', `the body ${JSON.stringify(body)}`)
  t.equal(await tell(app, notice(), { headers: { 'content-type': 'text/plain' } }), '415 UNSUPPORTED_MEDIA_TYPE')
  t.equal(await tell(app, notice(), { headers: { 'content-type': 'application/x-www-form-urlencoded' } }), '415 UNSUPPORTED_MEDIA_TYPE')
  t.equal(await tell(app, notice(), { headers: { 'content-type': 'application/json-patch+json' } }), '415 UNSUPPORTED_MEDIA_TYPE')
  t.equal(await tell(app, notice(), { headers: { 'content-type': undefined } }), '415 UNSUPPORTED_MEDIA_TYPE', 'of no type')
  const padded = (bytes: number): string => JSON.stringify(notice({ event: 'promote' })).padEnd(bytes)
  t.equal(await tell(app, padded(4_096)), '400 INVALID_REQUEST event', 'the longest body is read')
  t.equal(await tell(app, padded(4_097)), '413 PAYLOAD_TOO_LARGE', 'a longer one is not')
  const { statusCode, headers } = await app.inject({ method: 'GET', url: PATH })
  t.same([statusCode, headers['allow']], [405, 'POST'])
  t.equal(await bus.lastSequence('MEMBERS', 'members.*.left'), before, 'stores nothing')
  t.equal(await tell(app, untouched), '202', 'and uses up no nonce')
  t.equal(await tell(app, notice(), { headers: { 'content-type': 'application/json; charset=utf-8' } }), '202', 'a charset does not matter')
})

t.test('the signature is what the outside bot was told', async (t) => {
  // printf '1772366400.{"event":"leave"}' | openssl dgst -sha256 -hmac oooooooooooooooooooooooooooooooo
  t.equal(signatureOf(OLD, '1772366400', Buffer.from('{"event":"leave"}')), '2590ca57b3b340e35d6f171e90703938fb679991ecfef0fc836aab45afff4b97')
  const app = await gateway(t)
  const [said, timestamp] = [notice(), seconds()]
  t.equal(await tell(app, said, { timestamp, headers: { 'x-signature': signatureOf(OLD, timestamp, Buffer.from(JSON.stringify(said))).toUpperCase() } }), '202', 'in large letters, too')
})

t.test('who tells too often is asked to wait', async (t) => {
  const app = await gateway(t, { asksPerMinute: 2 })
  t.same([await tell(app, notice()), await tell(app, notice()), await tell(app, notice())], ['202', '202', '429 RATE_LIMITED'])
  const { headers } = await app.inject({ method: 'POST', url: PATH })
  t.match(headers['retry-after'], /^[1-9]\d?$/)
})

t.test('notices are counted by what became of them', async (t) => {
  const app = await gateway(t)
  const said = notice()
  const told = [said, said, { ...said, nonce: randomUUID() }, notice({ group_id: '120363000000000002@g.us' }), notice({ event: 'promote' }), notice({ event: 'demote' })]
  for (const body of told) await tell(app, body)
  await tell(app, notice(), { secret: NEW })
  await tell(app, notice(), { headers: { 'content-type': 'text/plain' } })
  await app.inject({ method: 'GET', url: PATH })
  const counted = await app.klaimMetrics.registry.getSingleMetric('klaim_webhook_notices_total')?.get()
  t.same(Object.fromEntries(counted?.values.flatMap(({ labels, value }) => value === 0 ? [] : [[labels['result'], value]]) ?? []), {
    accepted: 1, NONCE_USED: 1, duplicate: 1, WRONG_GROUP: 1, INVALID_REQUEST: 2, INVALID_SIGNATURE: 1, UNSUPPORTED_MEDIA_TYPE: 1,
  })
})

t.test('without secrets there is no webhook', async (t) => {
  t.equal(await tell(await world.app(t), notice()), '404 NOT_FOUND')
  t.equal(webhookSettings({}), undefined)
  t.throws(() => webhookSettings({ WEBHOOK_SECRETS: OLD }), /needs GROUP_ID and MEMBER_ID_KEY/)
})

t.test('the window of the timestamp', async (t) => {
  const clock = Date.parse('2026-03-01T12:00:00Z')
  const app = await gateway(t, { now: () => new Date(clock) })
  const at = async (offset: number): Promise<string> => await tell(app, notice({ occurred_at: '2026-03-01T11:59:00Z' }), { timestamp: seconds(clock + offset * 1_000) })
  t.same([await at(-61), await at(-60), await at(60), await at(61)], ['401 STALE_TIMESTAMP', '202', '202', '401 STALE_TIMESTAMP'])
  t.equal(await tell(app, notice({ occurred_at: '2026-03-01T12:01:00Z' }), { timestamp: seconds(clock) }), '202', 'the same for the time of the movement')
  t.equal(await tell(app, notice({ occurred_at: '2026-03-01T12:01:00.001Z' }), { timestamp: seconds(clock) }), '400 INVALID_REQUEST occurred_at')
  const early = await gateway(t, { now: () => new Date(clock - 1) })
  t.equal(await tell(early, notice({ occurred_at: '2026-03-01T11:59:00Z' }), { timestamp: seconds(clock + 60_000) }), '401 STALE_TIMESTAMP', 'begins to the millisecond')
  const late = await gateway(t, { now: () => new Date(clock + 1) })
  t.equal(await tell(late, notice({ occurred_at: '2026-03-01T11:59:00Z' }), { timestamp: seconds(clock - 60_000) }), '401 STALE_TIMESTAMP', 'ends to the millisecond')
  t.ok((noncesBucket.ttlMs ?? 0) > 2 * 60_000, 'a nonce is remembered for longer than its signature can hold')
})

t.test('two secrets while they are changed', async (t) => {
  const both = await gateway(t, { secrets: `${OLD}, ${NEW}` })
  t.same([await tell(both, notice(), { secret: OLD }), await tell(both, notice(), { secret: NEW })], ['202', '202'])
  t.equal(await tell(both, notice(), { secret: 'x'.repeat(32) }), '401 INVALID_SIGNATURE')
  const after = await gateway(t, { secrets: NEW })
  t.same([await tell(after, notice(), { secret: OLD }), await tell(after, notice(), { secret: NEW })], ['401 INVALID_SIGNATURE', '202'])
})

t.test('the bytes are signed, not what they mean', async (t) => {
  const app = await gateway(t)
  const { event, ...rest } = notice()
  const body = `{ "event" : "l\\u0065ave",\n${JSON.stringify(rest).slice(1)} `
  t.not(JSON.stringify(JSON.parse(body)), body)
  t.equal(event, (JSON.parse(body) as { event: string }).event)
  t.equal(await tell(app, body, { headers: { 'x-signature': signatureOf(OLD, seconds(), Buffer.from(JSON.stringify(JSON.parse(body)))) } }), '401 INVALID_SIGNATURE')
  t.equal(await tell(app, body), '202')
})

t.test('a nonce', async (t) => {
  const bus = await busOf(t)
  const [one, two] = [await gateway(t, { bus }), await gateway(t)]
  const said = notice()
  t.equal(await tell(one, said), '202')
  t.equal(await tell(one, said), '401 NONCE_USED nonce', 'counts once')
  t.equal(await tell(two, said), '401 NONCE_USED nonce', 'also at another gateway')
  t.equal(await tell(two, notice({ nonce: said.nonce })), '401 NONCE_USED nonce', 'whatever is told with it')
  t.equal(await tell(two, { ...said, nonce: randomUUID() }), '202', 'the same fact under a new one is taken')
  t.equal(await stored(bus, said), 1, 'and stored once')

  const together = notice()
  const answers = await Promise.all(Array.from({ length: 8 }, async (_, index) => await tell(index % 2 === 0 ? one : two, together)))
  t.equal(answers.filter((answer) => answer === '202').length, 1, 'of copies at the same time one is accepted')
  t.same([...new Set(answers)].toSorted(), ['202', '401 NONCE_USED nonce'])
  t.equal(await stored(bus, together), 1)
})

t.test('a gateway that ends between the nonce and the event, or between the event and its answer', async (t) => {
  const bus = await busOf(t)
  const app = await gateway(t, { bus })
  for (const dies of ['before', 'after'] as const) {
    const said = notice()
    const publish: Bus['publish'] = async (definition, fact) => {
      if (dies === 'after') await bus.publish(definition, fact)
      throw new Error('the process ends here')
    }
    const dying = await gateway(t, { bus: { ...bus, publish } })
    t.equal(await tell(dying, said), '500 INTERNAL', `it ended ${dies} the event was stored`)
    const remembered = (await (await bus.bucket(noncesBucket)).get(createHmac('sha256', MEMBER_ID_KEY).update(said.nonce).digest('hex')))?.text() ?? ''
    t.equal(await (await bus.bucket(noncesBucket)).get(said.nonce), null, 'the nonce itself, which an outside bot may have made of a number, is not written down')
    t.match(remembered, /^pending /)
    t.notOk(remembered.includes(createHash('sha256').update(JSON.stringify(said)).digest('hex')), 'what is remembered of a body needs a key to be tried against numbers')
    t.equal(await tell(app, notice({ nonce: said.nonce })), '401 NONCE_USED nonce', 'another body may not use its nonce')
    t.equal(await tell(app, said, { timestamp: String(Number(seconds()) + 1) }), '202', 'the same body, signed anew, may')
    t.equal(await stored(bus, said), 1, 'is stored, once')
    t.equal(await tell(app, said), '401 NONCE_USED nonce', 'and then no more')
  }
})

t.test('NATS', async (t) => {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const bus = await busOf(t, nats)
  const app = await gateway(t, { bus })
  const [used, waiting] = [notice(), notice()]
  t.equal(await tell(app, used), '202')
  const status = bus.raw.connection.status()[Symbol.asyncIterator]()
  const until = async (type: string): Promise<void> => { for (;;) if ((await status.next()).value?.type === type) return }
  await nats.kill()
  await until('disconnect')
  t.equal(await tell(app, waiting), '503 UNAVAILABLE', 'away: the caller is asked to come again')
  await nats.restart()
  await until('reconnect')
  t.equal(await tell(app, waiting), '202', 'back: nothing was used up')
  t.equal(await stored(bus, waiting), 1)
  t.equal(await tell(app, used), '401 NONCE_USED nonce', 'and what was used before is remembered')

  const hanging = notice()
  await nats.kill('SIGSTOP')
  t.equal(await tell(app, hanging), '503 UNAVAILABLE', 'hanging: the same, after a while')
  await nats.kill('SIGCONT')
  // The client may have left the hanging server by now, and takes a moment to come back to it; the caller comes again meanwhile.
  let answer = await tell(app, hanging)
  for (const deadline = Date.now() + 15_000; answer === '503 UNAVAILABLE' && Date.now() < deadline; answer = await tell(app, hanging)) await delay(100)
  t.equal(answer, '202', 'the call that came through late does not stand in the way')
  t.equal(await stored(bus, hanging), 1)
})

t.test('a leave told by webhook schedules the deletion', async (t) => {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const runtime = (service: string) => ({ log: createLog(service, 'trace', (line) => world.logLines.push(line)), metrics: createMetrics(service), now: () => new Date() })
  const store = await startClaimStore({
    ...nats.env('claim-store'), MEMBER_ID_KEY, LEDGER_KEYS: 'l'.repeat(32), BOOK_FILE: join(scratch(t), 'claims.json'), BOOK_EVERY_MS: 20, RETENTION_DAYS: 90, GRACE_MS: 14_400_000, LOG_LEVEL: 'info', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0, STOP_TIMEOUT_MS: 1_000,
  }, runtime('claim-store'))
  t.teardown(() => store.stop())
  const port = await freePort()
  const door = await start(loadConfig(Config, {
    ...nats.env('gateway'), BOT_URL: 'http://127.0.0.1:9', INTERNAL_SECRET: 'an-internal-secret-of-tests', HTTP_PORT: String(port), WEBHOOK_SECRETS: `${OLD},${NEW}`, MEMBER_ID_KEY, GROUP_ID,
    TEMPLATES_FILE: join(root, 'config/templates.json'), MESSAGES_DIR: join(root, 'config/messages'),
  }), runtime('gateway'))
  t.teardown(() => door.stop())
  const bus = await busOf(t, nats, 'operator')

  const said = notice()
  const member_id = memberIdOf(MEMBER_ID_KEY, said.wa_jid)
  const claim_id = randomUUID()
  t.match(await bus.request(createClaim, { claim_id, wa_jid: said.wa_jid, username: 'member', template: 'nodejs', template_version: 1, language: 'id' }), { ok: true })
  const subject = `claims.${member_id}.deletion_scheduled`
  const scheduled = bus.raw.connection.subscribe(subject, { max: 1 })
  await bus.raw.connection.flush()
  const [body, timestamp] = [JSON.stringify(said), seconds()]
  const answer = await fetch(`http://127.0.0.1:${port}${PATH}`, { method: 'POST', body, headers: { 'content-type': 'application/json', 'x-timestamp': timestamp, 'x-signature': signatureOf(NEW, timestamp, Buffer.from(body)) } })
  t.same([answer.status, await answer.json()], [202, { accepted: true }])
  for await (const _ of scheduled) break
  const found = await bus.last('CLAIMS', subject, [deletionScheduled])
  t.match(found?.event, { correlation: claim_id, data: { claim_id, delete_job_id: `${claim_id}-d1`, deletion_scheduled_at: new Date(Date.parse(said.occurred_at) + 14_400_000).toISOString() } })
})

t.test('no number and no secret was logged', async (t) => {
  t.ok(world.logLines.some((line) => line.includes('"event":"member.left"')), 'there is something to look at')
  t.same(world.logLines.filter((line) => /62812\d{6}|o{32}|n{32}|k{32}/.test(line)), [])
})
