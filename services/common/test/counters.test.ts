import t from 'tap'
import { limitsStream, type StreamDefinition } from '../../../contracts/streams.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { createBus } from '../bus.ts'
import { createLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())
const log = createLog('gateway', 'info', () => {})
async function countersOf (definition: StreamDefinition) {
  const bus = await createBus({ ...nats.playing('gateway'), log, metrics: createMetrics('gateway'), now: () => new Date() })
  t.teardown(() => bus.close())
  return { bus, counters: bus.counters(definition) }
}
const [here, there] = [await countersOf(limitsStream), await countersOf(limitsStream)]
const SUBJECT = 'limits.attempts.1.aaaaaaaaaaaaaaaaaaaaaa'
const PATIENCE_MS = 5_000

t.test('a counter', async (t) => {
  t.same([await here.counters.add(SUBJECT, 1, PATIENCE_MS), await there.counters.add(SUBJECT, 3, PATIENCE_MS), await here.counters.add(SUBJECT, 1, PATIENCE_MS)], [1, 4, 5], 'sums what all add')
  const many = await Promise.all([here, there].flatMap(({ counters }) => Array.from({ length: 50 }, async () => await counters.add(`${SUBJECT.slice(0, -1)}b`, 1, PATIENCE_MS))))
  t.same(many.toSorted((a, b) => a - b), Array.from({ length: 100 }, (_, index) => index + 1), 'also at once, each with a total of its own')
  const { state, config } = await here.bus.raw.jsm.streams.info('LIMITS')
  t.same([state.messages, config.max_bytes, config.allow_msg_counter], [2, limitsStream.maxBytes, true], 'keeps one message for each subject, in bounded room')
})

t.test('a subject that no counter is on is refused', async (t) => {
  await t.rejects(here.counters.add('nowhere.at.all', 1, PATIENCE_MS), { kind: 'transient', code: 'NATS_UNAVAILABLE' })
})

t.test('a server that hangs is not waited for', async (t) => {
  await nats.kill('SIGSTOP')
  const began = performance.now()
  await t.rejects(here.counters.add(SUBJECT, 1, 200), { code: 'NATS_UNAVAILABLE' })
  t.ok(performance.now() - began < PATIENCE_MS)
  await nats.kill('SIGCONT')
})

t.test('a server that was killed', async (t) => {
  const disconnected = (async () => { for await (const { type } of here.bus.raw.connection.status()) if (type === 'disconnect') return })()
  await nats.kill('SIGKILL')
  await disconnected
  t.equal(here.counters.isReachable(), false, 'is known to be away')
  await t.rejects(here.counters.add(SUBJECT, 1, PATIENCE_MS), { code: 'NATS_UNAVAILABLE' }, 'so nothing is sent that would be counted later')
  const reconnected = (async () => { for await (const { type } of here.bus.raw.connection.status()) if (type === 'reconnect') return })()
  await nats.restart()
  await reconnected
  t.ok(await here.counters.add(SUBJECT, 1, PATIENCE_MS) >= 6, 'has its counts still when it is back')
})
