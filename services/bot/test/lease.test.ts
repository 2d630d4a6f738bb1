import t from 'tap'
import { EventEmitter, once } from 'node:events'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { leaseBucket } from '../../../contracts/streams.ts'
import { createBus, type Bus } from '../../common/bus.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'
import { acquireLease, type Term } from '../lease.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())
const log = createLog('bot', 'fatal')
const open = async (): Promise<Bus> => {
  const bus = await createBus({ ...nats.playing('bot'), log, metrics: createMetrics('bot'), now: () => new Date() })
  t.teardown(() => bus.close())
  return bus
}
const bus = await open()
const leaseMs = 600
const never = new AbortController().signal
const candidate = async (holder: string, of = bus): Promise<Term> => await acquireLease({ bucket: await of.bucket(leaseBucket), holder, leaseMs, log }, never)

t.test('one of many holds the lease', async (t) => {
  const terms: Term[] = []
  const events = new EventEmitter()
  for (const holder of ['a', 'b', 'c', 'd']) {
    void candidate(holder).then((term) => {
      terms.push(term)
      events.emit('taken')
    })
  }
  for (let taken = 1; taken <= 4; taken++) {
    if (terms.length < taken) await once(events, 'taken')
    t.equal(terms.length, taken, 'one takes it')
    t.equal(terms.filter((term) => term.isHeld()).length, 1, 'and nobody else has it')
    await terms.at(-1)?.release()
    t.equal(terms.at(-1)?.isHeld(), false, 'released, it is not held')
  }
})

t.test('a holder that is cut off gives up before a standby takes over', async (t) => {
  const other = await open()
  // The holder's NATS connection alone dies: what it does then must not depend on hearing from anybody.
  const first = await candidate('first', other)
  t.equal(first.isHeld(), true)
  const lostAt = once(first.lost, 'abort').then(() => performance.now())
  const second = candidate('second').then((term) => ({ term, at: performance.now() }))
  const cutAt = performance.now()
  await other.raw.connection.close()
  const [lost, taken] = await Promise.all([lostAt, second])
  t.ok(lost < taken.at, `lost ${Math.round(taken.at - lost)} ms before it was taken`)
  t.ok(taken.at - cutAt < 3 * leaseMs, `taken over after ${Math.round(taken.at - cutAt)} ms of a lease of ${leaseMs} ms`)
  t.equal(first.isHeld(), false)
  t.equal(taken.term.isHeld(), true)
  await taken.term.release()
})

t.test('a lease that was lost and taken by nobody is taken up again at once', async (t) => {
  const bucket = await bus.bucket(leaseBucket)
  await bucket.put('session', 'same')
  const began = performance.now()
  const term = await candidate('same')
  t.ok(performance.now() - began < leaseMs / 2)
  t.equal(term.isHeld(), true)
  await term.release()
})

t.test('a lease lasts as long as it is renewed', async (t) => {
  const bucket = await bus.bucket(leaseBucket)
  const term = await candidate('steady')
  const revisions = new Set<number>()
  while (revisions.size < 6) revisions.add((await bucket.get('session'))?.revision ?? 0)
  t.equal(term.isHeld(), true, 'over several renewals')
  await bucket.put('session', 'usurper')
  await once(term.lost, 'abort')
  t.equal(term.isHeld(), false, 'and is lost when somebody else has written it')
  await bucket.delete('session')
})
