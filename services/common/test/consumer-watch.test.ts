import t from 'tap'
import { randomUUID } from 'node:crypto'
import { jetstreamManager } from '@nats-io/jetstream'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { serverFailed } from '../../../contracts/events/servers.ts'
import { claimStoreServers } from '../../../contracts/streams.ts'
import { backlogAt } from '../backlog.ts'
import { createBus } from '../bus.ts'
import { on } from '../consume.ts'
import { watchConsumers } from '../consumer-watch.ts'
import { transient } from '../fault.ts'
import { createLog } from '../log.ts'
import { createMetrics, type Metrics } from '../metrics.ts'
import { sayCaused } from './because.ts'

t.test('since when the oldest waits', async (t) => {
  const nothing = new Map<number, number>()
  t.same(backlogAt(undefined, { floor: 7, waiting: 0 }, new Map([[8, 100]]), 1_000), { floor: 7, since: null }, 'where none waits, nothing does')
  t.same(backlogAt(undefined, { floor: 7, waiting: 2 }, nothing, 1_000), { floor: 7, since: 1_000 }, 'of the first look no more is known than that it waits now')
  t.same(backlogAt({ floor: 7, since: 1_000 }, { floor: 7, waiting: 1 }, nothing, 9_000), { floor: 7, since: 1_000 }, 'where the floor stood still it is the same one as before')
  t.same(backlogAt({ floor: 7, since: 1_000 }, { floor: 8, waiting: 1 }, nothing, 9_000), { floor: 8, since: 9_000 }, 'where it moved it is another')
  t.same(backlogAt({ floor: 7, since: null }, { floor: 7, waiting: 1 }, nothing, 9_000), { floor: 7, since: 9_000 }, 'and one that came after a look at nothing is new')
  t.same(backlogAt(undefined, { floor: 7, waiting: 3 }, new Map([[9, 500], [8, 400], [6, 100]]), 1_000), { floor: 7, since: 400 }, 'what was delivered tells its own time, unless others have done it')
  t.same(backlogAt({ floor: 7, since: 300 }, { floor: 7, waiting: 3 }, new Map([[9, 500]]), 1_000), { floor: 7, since: 300 }, 'the older word counts')
})

t.test('a consumer whose handler fails', async (t) => {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const log = createLog('claim-store', 'silent', () => {})
  const metrics = createMetrics('claim-store')
  const seen = createMetrics('claim-store').consumers
  const bus = await createBus({ ...nats.playing('claim-store'), log, metrics, now: () => new Date() })
  t.teardown(() => bus.close())
  const labels = { stream: 'SERVERS', consumer: claimStoreServers.name }
  const read = async (gauge: Metrics['consumers']['pending'], which: object = labels): Promise<number | undefined> => (await gauge.get()).values.find(({ labels: found }) => JSON.stringify(found) === JSON.stringify(which))?.value
  const jsm = await jetstreamManager(bus.raw.connection, { checkAPI: false })
  const watch = watchConsumers({ info: async (stream, consumer) => await jsm.consumers.info(stream, consumer), metrics: seen, now: () => Date.now(), log, everyMs: 20 })
  t.teardown(() => { watch.stop() })
  const until = async (what: string, look: () => Promise<boolean>): Promise<void> => {
    for (const deadline = Date.now() + 10_000; !await look(); await new Promise((resolve) => setTimeout(resolve, 10))) if (Date.now() > deadline) throw new Error(`never: ${what}`)
  }

  let [isMended, handled] = [false, 0]
  const subscription = bus.consume(claimStoreServers, [on(serverFailed, async () => {
    if (!isMended) throw transient('PANEL_DOWN', 'not now')
    handled++
  })])
  const watched = { stream: 'SERVERS', name: claimStoreServers.name, undone: subscription.undone }
  watch.add(watched)
  await until('it is looked at', async () => await read(seen.oldestAge) === 0)
  t.same(await Promise.all(['pending', 'ackPending', 'redelivered'].map(async (name) => await read(seen[name as 'pending']))), [0, 0, 0], 'waits for nothing at first')
  t.same((await metrics.messages.get()).values.map(({ labels: { result }, value }) => [result, value]), [['done', 0], ['retried', 0], ['handed_back', 0], ['dead', 0], ['replayed', 0]], 'and has its counters from the start')

  const panel = await createBus({ ...nats.playing('provisioner'), log, metrics: createMetrics('provisioner'), now: () => new Date() })
  t.teardown(() => panel.close())
  const say = async (): Promise<void> => {
    const claimId = randomUUID()
    await sayCaused(panel, serverFailed, { key: claimId, data: { claim_id: claimId, member_id: 'a'.repeat(20), code: 'INTERNAL', step: 'queued' } })
  }
  await say()
  await until('it comes again', async () => await read(seen.redelivered) === 1)
  t.equal(await read(seen.ackPending), 1)
  const message = await bus.raw.jsm.streams.getMessage('SERVERS', { last_by_subj: 'servers.*.failed' })
  const since = Date.now() - (await read(seen.oldestAge) ?? 0) * 1_000
  t.ok(message && Math.abs(since - message.time.getTime()) < 1_000, 'what waits is as old as its message')

  isMended = true
  await until('it is done', async () => await read(seen.ackPending) === 0 && await read(seen.oldestAge) === 0)
  watch.remove(watched)
  t.equal(await read(seen.pending), undefined, 'a consumer that is not ours any more is not told of')
  await say()
  await until('the next is taken', async () => handled === 2)
  await until('and forgotten, before anybody looks', async () => subscription.undone.size === 0)
})
