// What was acknowledged is read, in a cluster too, whichever node is asked: a direct get alone misses every fifth write.
import t from 'tap'
import { templatesBucket } from '../../../contracts/streams.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { openBucket } from '../bucket.ts'
import { connectNats } from '../connect.ts'
import { jetstreamManager } from '@nats-io/jetstream'
import { nextOf, pageOf } from '../page.ts'

const WRITES = 150

const nats = await startKlaimNats({ replicas: 3 })
t.teardown(() => nats.close())

for (const [name, node] of nats.nodes) {
  t.test(`asked through ${name}`, async (t) => {
    const connection = await connectNats({ ...nats.access('operator'), servers: node.url }, 'operator')
    t.teardown(() => connection.close())
    const jsm = await jetstreamManager(connection)
    const js = jsm.jetstream()
    const bucket = await openBucket(connection, templatesBucket)
    const missed = { value: 0, key: 0, page: 0 }
    for (let n = 0; n < WRITES; n++) {
      const key = `${name}-${n}.1`
      await bucket.create(key, 'x')
      if ((await bucket.get(key))?.text() !== 'x') missed.value++
      if (n % 10 === 0 && !(await bucket.keys(`${name}-${n}.*`)).includes(key)) missed.key++
      const { seq } = await js.publish(`members.${name}.left`, 'x')
      if ((await pageOf(jsm, 'MEMBERS', { from: seq, size: 10 })).length !== 1) missed.page++
    }
    t.same(missed, { value: 0, key: 0, page: 0 }, 'no write is missed')
  })
}

t.test('a page', async (t) => {
  const connection = await connectNats(nats.access('operator'), 'operator')
  t.teardown(() => connection.close())
  const jsm = await jetstreamManager(connection)
  const subjects = async (from: number, size: number, filter?: string): Promise<number[]> => (await pageOf(jsm, 'MEMBERS', { from, size, ...(filter === undefined ? {} : { filter }) })).map(({ seq }) => seq)
  t.same(await subjects(1, 3), [1, 2, 3])
  const all = await subjects(1, 10 * WRITES)
  t.same(all, Array.from({ length: 3 * WRITES }, (_, n) => n + 1), 'holds each message once, in order')
  t.same(await subjects(3 * WRITES, 5), [3 * WRITES])
  t.same(await subjects(3 * WRITES + 1, 5), [], 'behind the end there is none')
  t.same(await subjects(1, 1, 'members.node3.left'), [(await nextOf(jsm, 'MEMBERS', 1, 'members.node3.left'))?.seq])
  t.same(await subjects(1, 5, 'members.nobody.left'), [])
  await jsm.streams.deleteMessage('MEMBERS', 2)
  t.same(await subjects(1, 3), [1, 3, 4], 'what was erased is left out')
})
