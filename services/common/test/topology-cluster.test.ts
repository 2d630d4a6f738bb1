// The catalogue on a cluster that is busy: streams being given more replicas or fewer, and a leader that has just gone.
import t from 'tap'
import { jetstreamManager } from '@nats-io/jetstream'
import { STORED } from '../../../contracts/streams.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { connectNats } from '../connect.ts'
import { ensureTopology } from '../topology.ts'

const nats = await startKlaimNats({ bare: true, replicas: 3 })
t.teardown(() => nats.close())
const connection = await connectNats(nats.access('operator'), 'operator')
t.teardown(() => connection.close())

async function replicas (): Promise<number[]> {
  const jsm = await jetstreamManager(connection)
  return await Promise.all(STORED.map(async (name) => (await jsm.streams.info(name)).config.num_replicas))
}

t.test('streams with data go from one node to three and back, again and again', async (t) => {
  await ensureTopology(connection, 1)
  const jsm = await jetstreamManager(connection)
  for (let n = 0; n < 50; n++) await jsm.jetstream().publish('members.abcdefghijklmnopqrst.left', 'x')
  for (const wanted of [3, 1, 3]) {
    await ensureTopology(connection, wanted)
    t.same(new Set(await replicas()), new Set([wanted]))
  }
  t.equal((await jsm.streams.info('MEMBERS')).state.messages, 50)
  await ensureTopology(connection)
  t.same(new Set(await replicas()), new Set([3]), 'who does not say how many takes none away')
})

t.test('where the leader has just gone, another is waited for', async () => {
  const jsm = await jetstreamManager(connection)
  const { cluster } = await jsm.streams.info('KV_topology')
  const leader = nats.nodes.get(cluster?.leader ?? '')
  await leader?.kill('SIGKILL')
  await ensureTopology(connection, 3)
  await leader?.restart()
})

t.test('what cannot be is said at once', async (t) => {
  const single = await startKlaimNats({ bare: true })
  t.teardown(() => single.close())
  const operator = await connectNats(single.access('operator'), 'operator')
  t.teardown(() => operator.close())
  const began = Date.now()
  await t.rejects(ensureTopology(operator, 3), { code: 10074 }, 'a single node has no replicas')
  t.ok(Date.now() - began < 5_000)
})
