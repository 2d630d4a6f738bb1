// What was acknowledged is read, in a cluster too, whichever node is asked: a direct get alone misses every fifth write.
import t from 'tap'
import { templatesBucket } from '../../../contracts/streams.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { until } from '../../test/journey.ts'
import { openBucket } from '../bucket.ts'
import { connectNats } from '../connect.ts'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import { nextOf, pageAs, pageOf } from '../page.ts'

const WRITES = 150
const PAGES = 20

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
  // The node that is asked may not know of it in that moment: only what was stored before is sure to be there.
  await until('what was erased is left out', async () => (await subjects(1, 3)).join() === '1,3,4' || undefined)
})

t.test('a page ends although somebody keeps on writing', async (t) => {
  const nats = await startKlaimNats()
  const [connection, another] = await Promise.all([connectNats(nats.access('operator'), 'operator'), connectNats(nats.access('operator'), 'operator')])
  t.teardown(async () => {
    await Promise.all([connection.close(), another.close()])
    await nats.close()
  })
  const [jsm, js] = [await jetstreamManager(connection), jetstream(another)]
  let isWriting = true
  const writing = Array.from({ length: 8 }, async () => {
    while (isWriting) await js.publish('members.writer.left', 'x')
  })
  const questions: number[] = []
  for (let n = 0; n < PAGES; n++) {
    const { seq: from } = await js.publish('members.writer.left', 'x')
    const before = connection.stats().outMsgs
    await pageOf(jsm, 'MEMBERS', { from, size: 10 * WRITES })
    questions.push(connection.stats().outMsgs - before)
  }
  isWriting = false
  await Promise.all(writing)
  // For the messages, for where they end, and both once more where that was said later.
  t.ok(Math.max(...questions) <= 4, `asked ${questions.join(', ')} questions`)
})

t.test('its headers are what the client reads in them', async (t) => {
  const connection = await connectNats(nats.access('operator'), 'operator')
  t.teardown(() => connection.close())
  const jsm = await jetstreamManager(connection)
  const given = headers()
  given.append('ce-id', ' first ')
  given.append('ce-id', 'second')
  given.append('Ce-Id', 'another name')
  given.append('ce-empty', '')
  given.append('ce-said', 'd\u00e9j\u00e0: vu')
  const pretending = headers(503, 'No Responders')
  pretending.append('Nats-Sequence', '1')
  pretending.append('Nats-Subject', 'members.another.left')
  const js = jsm.jetstream()
  const { seq: from } = await js.publish('members.headed.left', 'body', { headers: given })
  await js.publish('members.headed.left', '', { headers: pretending })
  await js.publish('members.headed.left', 'bare')
  // Each unlike the one before: more, fewer, in another order, and names that begin like others.
  const unlike = ['a b c', 'a b', 'a b c d', 'b a', 'ab a', 'a ab a', 'a a', 'a ab a'].map((names) => names.split(' '))
  for (const names of unlike) {
    const of = headers()
    for (const [n, name] of names.entries()) of.append(name, `${n}`)
    await js.publish('members.headed.left', names.join(), { headers: of })
  }
  const page = await pageOf(jsm, 'MEMBERS', { from, size: 5 + unlike.length })
  t.same(page.map(({ seq, subject }) => [seq, subject]), Array.from({ length: 3 + unlike.length }, (_, n) => [from + n, 'members.headed.left']), 'where a message stands only the server says')
  t.same(page.map((message) => message.string()), ['body', '', 'bare', ...unlike.map((names) => names.join())])
  t.same(page.slice(3).map(({ attributes }) => ['a', 'ab', 'b'].map((name) => attributes.get(name))), unlike.map((names) => ['a', 'ab', 'b'].map((name) => names.includes(name) ? `${names.indexOf(name)}` : '')))
  for (const { header, attributes } of page) {
    const names = [...header.keys(), 'ce', 'id', 'ce-nothing'].filter((name) => name !== 'Nats-Sequence' && name !== 'Nats-Subject')
    t.same(names.map((name) => attributes.get(name)), names.map((name) => header.get(name)))
  }
  t.same(['ce-id', 'Ce-Id', 'ce-said'].map((name) => page[0]?.attributes.get(name)), ['first', 'another name', 'd\u00e9j\u00e0: vu'])
  // The client writes no blanks but the first; others may.
  const blanks = Object.assign(headers(), { encode: () => Buffer.from('NATS/1.0\r\nce-id:  two and a tab \t\r\nce-said:none\r\nce-wide: \u00a0beyond ASCII\u00a0\r\nce-empty:\r\n\r\n') })
  const { seq: last } = await js.publish('members.headed.left', 'blanks', { headers: blanks })
  const [padded] = await pageOf(jsm, 'MEMBERS', { from: last, size: 1 })
  t.same(['ce-id', 'ce-said', 'ce-wide', 'ce-empty'].map((name) => padded?.attributes.get(name)), ['two and a tab', 'none', 'beyond ASCII', ''])
  const stored = await jsm.streams.getMessage('MEMBERS', { seq: from })
  t.same([page[0]?.time, page[0]?.timestamp], [stored?.time, stored?.timestamp])
})

t.test('who cannot make anything of a message has no page, and may ask for another', async (t) => {
  const connection = await connectNats(nats.access('operator'), 'operator')
  t.teardown(() => connection.close())
  const jsm = await jetstreamManager(connection)
  await t.rejects(pageAs(jsm, 'MEMBERS', { from: 1, size: 3 }, () => { throw new Error('unreadable') }), { code: 'NATS_UNAVAILABLE', cause: { message: 'unreadable' } })
  t.equal((await pageOf(jsm, 'MEMBERS', { from: 1, size: 3 })).length, 3)
})

t.test('who has read a page listens no longer', async (t) => {
  const node = nats.nodes.get('node1')
  const connection = await connectNats({ ...nats.access('operator'), servers: node?.url ?? '' }, 'operator')
  t.teardown(() => connection.close())
  const jsm = await jetstreamManager(connection)
  const listening = async (): Promise<number> => {
    await connection.flush()
    const { connections } = await (await fetch(`${node?.monitoringUrl}/connz`)).json() as { connections: Array<{ cid: number, subscriptions: number }> }
    return connections.find(({ cid }) => cid === connection.info?.client_id)?.subscriptions ?? NaN
  }
  await pageOf(jsm, 'MEMBERS', { from: 1, size: 3 })
  const before = await listening()
  for (let n = 0; n < 10; n++) await pageOf(jsm, 'MEMBERS', { from: 1 + n, size: 3 })
  await pageOf(jsm, 'MEMBERS', { from: 1_000_000, size: 3 })
  t.equal(await listening(), before)
})
