import t from 'tap'
import { setTimeout as delay } from 'node:timers/promises'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { errors } from '@nats-io/transport-node'
import { eraseMember, getBrake } from '../../../contracts/requests.ts'
import { SERVICES, type Serving } from '../../../contracts/services.ts'
import klaim from '../../../package.json' with { type: 'json' }
import { answering, createBus, type Bus } from '../bus.ts'
import { connectNats } from '../connect.ts'
import { transient } from '../fault.ts'
import { createLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'

const nats = await startKlaimNats({ bare: true })
t.teardown(() => nats.close())
const operator = await connectNats(nats.access('operator'), 'operator')
t.teardown(() => operator.close())

/** What NATS's services API answers to one of its own questions. */
async function asked<Answer> (subject: string): Promise<Answer[]> {
  const answers: Answer[] = []
  try {
    for await (const message of await operator.requestMany(subject, '', { strategy: 'stall', maxWait: 2_000, stall: 500 })) answers.push(message.json<Answer>())
  } catch (error) {
    if (!(error instanceof errors.NoRespondersError)) throw error
  }
  return answers
}

const names = Object.keys(SERVICES) as Serving[]
/** With each service's own rights. */
const starting = names.map(async (service): Promise<Bus> =>
  await createBus({ ...nats.access(service), service, log: createLog(service, 'silent', () => {}), metrics: createMetrics(service), now: () => new Date() }))
t.teardown(async () => { await Promise.all((await Promise.all(starting)).map(async (bus) => { await bus.close() })) })

t.test('every service is registered', async (t) => {
  for (;;) {
    const found = await asked<{ name: string, version: string, description: string }>('$SRV.INFO')
    if (found.length < names.length) continue
    t.same(found.map(({ name, version, description }) => `${name} ${version} ${description}`).toSorted(), names.map((name) => `${name} ${klaim.version} ${SERVICES[name]}`).toSorted(), 'while it still waits for the streams')
    break
  }
  await nats.restoreTopology()
  const buses = await Promise.all(starting)
  t.same((await asked<{ name: string }>('$SRV.PING')).map(({ name }) => name).toSorted(), names.toSorted(), 'once, whether or not it answers anything')
  t.same((await asked<{ name: string }>('$SRV.INFO.notifier')).map(({ name }) => name), ['notifier'], 'and by its name')

  const [asker, reaper] = [buses[names.indexOf('provisioner')] as Bus, buses[names.indexOf('reaper')] as Bus]
  let isAway = false
  await reaper.respond([answering(getBrake, async () => {
    await delay(40)
    if (isAway) throw transient('NATS_UNAVAILABLE', 'a test')
    return { ok: true as const, tripped: false, tripped_at: null, reason: null, releases_at: null }
  })])
  const [info] = await asked<{ endpoints: unknown[] }>('$SRV.INFO.reaper')
  t.match(info?.endpoints, [{ name: 'brake', subject: 'klaim.reaper.brake', metadata: { summary: getBrake.summary } }], 'what it answers is listed')
  await asker.request(getBrake, {})
  isAway = true
  await t.rejects(asker.request(getBrake, {}), { code: 'NATS_UNAVAILABLE' })
  const [counted] = await asked<{ endpoints: Array<{ num_requests: number, num_errors: number, last_error: string, average_processing_time: number }> }>('$SRV.STATS.reaper')
  const stats = counted?.endpoints[0]
  t.match(stats, { num_requests: 2, num_errors: 1, last_error: 'NATS_UNAVAILABLE' }, 'and counted, faults too')
  t.ok((stats?.average_processing_time ?? 0) >= 35e6, 'with the time that an answer took')
})

t.test('an operator is no service', async (t) => {
  await nats.restoreTopology()
  const bus = await createBus({ ...nats.access('operator'), service: 'operator', log: createLog('operator', 'silent', () => {}), metrics: createMetrics('operator'), now: () => new Date() })
  t.teardown(() => bus.close())
  t.same((await asked<{ name: string }>('$SRV.PING')).filter(({ name }) => name === 'operator'), [])
  await t.rejects(bus.respond([answering(eraseMember, async () => ({ ok: true as const, member_id: 'a'.repeat(20) }))]), /answers nothing/)
})
