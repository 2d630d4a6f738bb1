import t from 'tap'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SERVICES, startSystem } from '../../deploy/staging/system.ts'
import { scratch } from '../common/test/scratch.ts'
import { actor, journey, until } from './journey.ts'
import { startReceiver, type Span } from './otlp.ts'

// leak.test.ts looks for every secret in every form in what is sent; here it is what the spans say.
const receiver = await startReceiver()
t.teardown(() => { receiver.close() })
const system = await startSystem({
  directory: scratch(t), graceMs: 20_000, members: 6, outsiders: 1,
  env: {
    all: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '100', OTEL_BSP_MAX_QUEUE_SIZE: '256', OTEL_EXPORTER_OTLP_TIMEOUT: '500', OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test' },
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '600', PANEL_DOUBLE_START_DELAY_MS: '200' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200' },
    bot: { SEND_GAP_MS: '50', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
  },
})
t.teardown(async () => { await system.close() })

/** Those of one trace, once it has come to its end. */
async function traceWith (what: string, isLast: (span: Span) => boolean): Promise<Span[]> {
  return await until(what, async () => {
    const last = receiver.spans.find(isLast)
    const spans = receiver.spans.filter(({ traceId }) => traceId === last?.traceId)
    const ids = new Set(spans.map(({ spanId }) => spanId))
    // Services send when they like: whole is a trace in which every span has its parent.
    return last && spans.filter(({ parentId }) => !ids.has(parentId)).length === 1 ? spans : undefined
  })
}

/** From the first span of the trace down to this one: `service name`. */
function wayTo (spans: readonly Span[], end: Span | undefined): string[] {
  const way: string[] = []
  for (let span = end; span; span = spans.find(({ spanId }) => spanId === span?.parentId)) way.unshift(`${span.service} ${span.name}`)
  return way
}

t.test('a claim', async (t) => {
  const claimId = await journey(t, system, 1, async () => {})
  const spans = await traceWith('the way of the claim', ({ name, attributes }) => name === 'publish messages.delivered.{message_id}' && attributes['klaim.message_id'] === `login-${claimId}`)
  const delivered = spans.find(({ name }) => name === 'publish messages.delivered.{message_id}')
  t.same(wayTo(spans, delivered), [
    'gateway POST /api/claim', 'gateway klaim.claim-store/create', 'claim-store klaim.claim-store/create', 'claim-store publish claims.{member_id}.requested',
    'provisioner process claims.{member_id}.requested', 'provisioner publish servers.{claim_id}.ready',
    'claim-store process servers.{claim_id}.ready', 'claim-store publish claims.{member_id}.activated',
    'notifier process claims.{member_id}.activated', 'notifier publish messages.outbound.{message_id}',
    'bot process messages.outbound.{message_id}', 'bot publish messages.delivered.{message_id}',
  ], 'is one trace from the form to the login')
  const named = (name: string): Span[] => spans.filter((span) => span.name === name)
  t.same(['account', 'create', 'install', 'probe'].map((step) => named(`step ${step}`).length), [1, 1, 1, 1], 'with each step')
  for (const [call, step] of [['POST /users', 'step account'], ['POST /servers', 'step create'], ['health check', 'step probe']] as const) {
    t.equal(wayTo(spans, named(call)[0]).at(-2), `provisioner ${step}`, `${call} within its step`)
  }
  t.equal(wayTo(spans, spans.find(({ name, service }) => name === 'POST /internal/check-member' && service === 'bot')).at(-2), 'gateway POST /internal/check-member', 'the look at the group')
  t.same(named('send to WhatsApp').map((span) => wayTo(spans, span).at(-2)), Array(2).fill('bot process messages.outbound.{message_id}'), 'and both messages')
  t.match(spans.find(({ name }) => name === 'POST /api/claim'), { kind: 2, attributes: { 'klaim.claim_id': claimId, 'http.response.status_code': 202 } })
  t.same(spans.filter(({ isError }) => isError).map(({ name }) => name), [], 'in which nothing failed')

  const departures = await traceWith('the way of the departure', ({ name, attributes }) => name === 'publish messages.delivered.{message_id}' && attributes['klaim.message_id'] === `deleted-${claimId}-d2`)
  t.same(wayTo(departures, departures.find(({ name }) => name === 'publish claims.{member_id}.deleted')), [
    'bot publish members.{member_id}.left', 'claim-store process members.{member_id}.left', 'claim-store publish claims.{member_id}.deletion_scheduled',
    'reaper process claims.{member_id}.deletion_scheduled', 'reaper publish deletions.due.{delete_job_id}', 'reaper process deletions.due.{delete_job_id}', 'reaper judge', 'reaper publish deletions.confirmed.{delete_job_id}',
    'claim-store process deletions.confirmed.{delete_job_id}', 'claim-store publish claims.{member_id}.deletion_started',
    'provisioner process claims.{member_id}.deletion_started', 'provisioner publish servers.{claim_id}.deleted',
    'claim-store process servers.{claim_id}.deleted', 'claim-store publish claims.{member_id}.deleted',
  ], 'and a departure is one from the group to the end, over the wake-up that NATS keeps')
  t.ok(departures.some(({ name }) => name === 'DELETE /servers/{id}'))
})

t.test('who is refused', async (t) => {
  t.equal((await actor(system, '6281200000900').claim()).status, 403)
  const span = await until('it is told', async () => receiver.spans.find(({ name, attributes }) => name === 'POST /api/claim' && attributes['klaim.code'] === 'NOT_MEMBER'))
  t.match(span, { isError: false, parentId: '', attributes: { 'http.response.status_code': 403, 'klaim.member_id': /^[a-z2-7]{20}$/ } }, 'has a trace with the reason')
})

t.test('a visitor who sends a context of their own', async (t) => {
  const traceId = 'f'.repeat(32)
  const { body: { claim_id: claimId } } = await actor(system, '6281200000002').claim({ traceparent: `00-${traceId}-${'e'.repeat(16)}-01` })
  const span = await until('it is told', async () => receiver.spans.find(({ name, attributes }) => name === 'POST /api/claim' && attributes['klaim.claim_id'] === claimId))
  t.not(span.traceId, traceId, 'puts nothing into a trace of theirs')
})

t.test('what nobody waits for', async (t) => {
  const roots = new Set(receiver.spans.filter(({ parentId }) => parentId === '').map(({ service, name }) => `${service} ${name}`))
  t.same([...roots].toSorted(), ['bot publish members.{member_id}.joined', 'bot publish members.{member_id}.left', 'gateway POST /api/claim'], 'begins no trace: no poll, no sweep, no look at a status')
})

t.test('nothing of anybody', async (t) => {
  const login = (await actor(system, '6281200000001').chat()).map(({ text }) => text).find((text) => /^\S{32}$/.test(text)) ?? ''
  const secrets = ['1200000001', '1200000002', '1200000900', login, readFileSync(join(system.secretsDirectory, 'internal_secret'), 'utf8').trim(), readFileSync(join(system.secretsDirectory, 'panel_key'), 'utf8').trim(), 'user0001', 'Kata sandi']
  t.ok(secrets.every((secret) => secret.length >= 8), 'there is something to look for')
  t.ok(receiver.bodies.some((body) => body.includes('deployment.environment.name')), 'in what can be read')
  t.same(secrets.filter((secret) => receiver.bodies.some((body) => body.includes(secret))), [], 'is in any byte that was sent')
})

const unexported = (): number => SERVICES.filter((name) => readFileSync(join(system.logDirectory, `${name}.log`), 'utf8').includes('"code":"TRACES_UNEXPORTED"')).length
async function claims (number: string): Promise<void> {
  const person = actor(system, number)
  const { body: { claim_id: claimId } } = await person.claim()
  await until('the claim is active', async () => (await person.progress(claimId)).status === 'active' || undefined)
  await until('the login arrives', async () => (await person.chat()).some(({ text }) => /^\S{32}$/.test(text)) || undefined)
}

t.test('an endpoint that hangs', async (t) => {
  receiver.hang()
  const before = receiver.calls()
  await claims('6281200000003')
  t.ok(receiver.calls() > before, 'is asked')
  t.ok(await until('it is said', async () => unexported() >= 3 || undefined), 'is named, and a claim goes its way')
})

t.test('an endpoint that is gone', async (t) => {
  receiver.close()
  await claims('6281200000004')
  for (const name of SERVICES) await system.kill(name, 'SIGTERM')
  t.same(await Promise.all(SERVICES.map(async (name) => (await system.ended(name)).code)), SERVICES.map(() => 0), 'holds up nobody who claims or stops')
  const times = SERVICES.map((name) => readFileSync(join(system.logDirectory, `${name}.log`), 'utf8').split('"code":"TRACES_UNEXPORTED"').length - 1)
  t.ok(times.every((each) => each <= 1), 'and is named once')
})
