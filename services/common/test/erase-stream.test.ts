import t from 'tap'
import { join } from 'node:path'
import { brakeBucket, maxAgeMsOf, provisioningBucket, rosterBucket, sentBucket, templatesBucket } from '../../../contracts/streams.ts'
import { filesHolding } from '../../../deploy/staging/nats/files.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { startAging } from '../aging.ts'
import { createBus } from '../bus.ts'
import { eraseMessages } from '../erase-stream.ts'
import { createLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())
const lines: string[] = []
const log = createLog('test', 'debug', (line) => lines.push(line))
const bus = await createBus({ ...nats.playing('bot'), log, metrics: createMetrics('bot'), now: () => new Date() })
t.teardown(() => bus.close())
const inStore = (stream: string, text: string) => filesHolding(join(nats.storeDir, 'jetstream', 'KLAIM', 'streams', stream), text)
const say = async (subject: string, text: string) => await bus.raw.js.publish(subject, text, { msgID: `id of ${text.slice(0, 20)}` })

t.test('messages that are erased', async (t) => {
  const filler = 'x'.repeat(60_000)
  for (let n = 0; n < 450; n++) await say(`servers.${n % 2 === 0 ? 'one' : 'other'}.progressed`, `text ${n % 2 === 0 ? 'one' : 'other'} ${n}. ${filler}`)
  t.equal(await eraseMessages(bus, { stream: 'SERVERS', filter: 'servers.one.*', before: 421 }), 210, 'are found over several batches, those before a sequence')
  t.same([inStore('SERVERS', 'text one 0.'), inStore('SERVERS', 'id of text one 418.')], [[], []], 'their bytes are gone, headers and all, from every block')
  t.ok(inStore('SERVERS', 'text one 420.').length > 0 && inStore('SERVERS', 'text other 1.').length > 0, 'and no others')
  const restarted = async (): Promise<void> => {
    await nats.restart()
    while (!bus.isConnected() || await bus.raw.connection.flush().then(() => false, () => true)) await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await restarted()
  t.equal(await eraseMessages(bus, { stream: 'SERVERS', filter: 'servers.one.*' }), 15, 'what is left is found the next time, after a restart, too')
  t.equal(await eraseMessages(bus, { stream: 'SERVERS', filter: 'servers.one.*' }), 0, 'and nothing the time after')
  t.same(inStore('SERVERS', 'servers.one.').filter((path) => !path.endsWith('index.db')), [], 'not even the subject is there')
  await restarted()
  t.same(inStore('SERVERS', 'servers.one.'), [], 'and not in the index either, once the server has written that anew (every two minutes, and when it stops)')
})

t.test('two who erase the same', async (t) => {
  for (let n = 0; n < 50; n++) await say('members.one.left', `both ${n}.`)
  await Promise.all([1, 2].map(async () => await eraseMessages(bus, { stream: 'MEMBERS', filter: 'members.one.*' })))
  t.same(inStore('MEMBERS', 'both'), [], 'do not disturb each other')
})

t.test('a bucket with something of a member in it', async (t) => {
  for (const definition of [provisioningBucket, brakeBucket, rosterBucket, sentBucket]) {
    const bucket = await bus.bucket(definition)
    let revision = await bucket.create('key', 'value 0.') ?? 0
    for (let n = 1; n <= 10; n++) revision = await bucket.update('key', `value ${n}.`, revision) ?? 0
    t.same(Array.from({ length: 10 }, (_, n) => inStore(`KV_${definition.name}`, `value ${n}.`)).flat(), [], `${definition.name} overwrites what it replaces`)
    t.equal((await bucket.get('key'))?.text(), 'value 10.')
    t.equal(await bucket.update('key', 'late', revision - 1), null, 'and only then')
    t.equal((await bucket.get('key'))?.text(), 'value 10.')
    await eraseMessages(bus, { stream: `KV_${definition.name}`, filter: `$KV.${definition.name}.key` })
    t.same(inStore(`KV_${definition.name}`, 'value 10.'), [])
    t.not(await bucket.create('key', 'again'), null, 'an erased key can be used again')
  }
  const bucket = await bus.bucket(templatesBucket)
  await bucket.update('key', 'value 1.', await bucket.create('key', 'value 0.') ?? 0)
  t.not(inStore('KV_templates', 'value 0.').length, 0, 'any other leaves it in the file: this is why')
})

t.test('what comes of age', async (t) => {
  await say('messages.outbound.old', 'old message')
  const day = 24 * 3_600_000
  const round = async (days: number): Promise<void> => { await startAging({ bus, what: [{ stream: 'MESSAGES', filter: 'messages.>', maxAgeMs: maxAgeMsOf('MESSAGES') }], now: () => new Date(Date.now() + days * day), log }).stop() }
  await round(27.9)
  t.not(inStore('MESSAGES', 'old message').length, 0, 'stays until two days before its time')
  await round(28.1)
  t.same(inStore('MESSAGES', 'old message'), [], 'and is then overwritten')
})
