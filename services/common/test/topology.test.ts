import t from 'tap'
import { jetstreamManager } from '@nats-io/jetstream'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { BUCKETS, CONSUMERS, STREAMS, STORED } from '../../../contracts/streams.ts'
import { connectNats } from '../connect.ts'
import { ensureTopology } from '../topology.ts'
import { bucketConfig, consumerConfig, differences, streamConfig } from '../topology-config.ts'

const nats = await startKlaimNats({ bare: true })
t.teardown(() => nats.close())
const connection = await connectNats(nats.access('operator'), 'operator')
t.teardown(() => connection.close())
const jsm = await jetstreamManager(connection)

/** What the server has, without what it counts. */
async function everything (): Promise<unknown> {
  const streams = await Promise.all(STORED.map(async (name) => (await jsm.streams.info(name)).config))
  const consumers = await Promise.all(CONSUMERS.map(async ({ stream, name }) => (await jsm.consumers.info(stream, name)).config))
  // The server notes in the metadata which version of it changed what.
  return [...streams, ...consumers].map((config) => ({ ...config, metadata: undefined }))
}

t.test('many services starting at once bring an empty server to the catalogue', async (t) => {
  await Promise.all(Array.from({ length: 6 }, async () => { await ensureTopology(connection) }))
  t.equal((await everything() as unknown[]).length, STREAMS.length + BUCKETS.length + CONSUMERS.length)
})

t.test('a definition that changed is updated, and what is stored stays', async (t) => {
  const wanted = await everything()
  const js = jsm.jetstream()
  await js.publish('members.abcdefghijklmnopqrst.left', 'x')
  const { config } = await jsm.streams.info('MEMBERS')
  await jsm.streams.update('MEMBERS', { ...config, max_age: 3_600_000_000_000, subjects: ['members.*.left'], max_msg_size: 1_024 })
  await jsm.consumers.update('MEMBERS', 'claim-store-members', { filter_subjects: ['members.*.left'], max_ack_pending: 7, ack_wait: 1_000_000_000 })
  const bucket = await jsm.streams.info('KV_brake')
  await jsm.streams.update('KV_brake', { ...bucket.config, max_msgs_per_subject: 9, max_msg_size: 99 })
  t.notSame(await everything(), wanted, 'it really was changed')
  await ensureTopology(connection)
  t.same(await everything(), wanted)
  t.equal((await jsm.streams.info('MEMBERS')).state.messages, 1)
})

t.test('nothing changes a second time', async (t) => {
  const before = await everything()
  await ensureTopology(connection)
  t.same(await everything(), before)
})

t.test('what is described and what is there', async (t) => {
  const of = async (stream: string): Promise<object> => (await jsm.streams.info(stream)).config
  for (const definition of STREAMS) t.same(differences(await of(definition.name), streamConfig(definition, 1)), [], `${definition.name} is as described`)
  for (const definition of BUCKETS) t.same(differences(await of(`KV_${definition.name}`), bucketConfig(definition, 1)), [], `${definition.name} is as described`)
  for (const definition of CONSUMERS) t.same(differences((await jsm.consumers.info(definition.stream, definition.name)).config, consumerConfig(definition)), [], `${definition.name} is as described`)
  const ledger = STREAMS.find(({ name }) => name === 'CLAIMS') as typeof STREAMS[number]
  const config = await of('CLAIMS')
  t.same(differences({ ...config, max_bytes: 1, max_msgs: 100 }, streamConfig(ledger, 1)), [{ field: 'max_bytes', is: 1, shouldBe: ledger.maxBytes }, { field: 'max_msgs', is: 100, shouldBe: undefined }], 'a limit of which the description says nothing is named too')
  t.same(differences(config, streamConfig(ledger, 3)).map(({ field }) => field), ['num_replicas'])
})
