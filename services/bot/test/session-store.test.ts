import t from 'tap'
import { initAuthCreds, proto, type SignalDataSet } from '@whiskeysockets/baileys'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { filesHolding } from '../../../deploy/staging/nats/files.ts'
import { sessionBucket } from '../../../contracts/streams.ts'
import { createBus } from '../../common/bus.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'
import { createCipher } from '../session-cipher.ts'
import { openSession, resealSession } from '../session-store.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())
const bus = await createBus({ ...nats.playing('bot'), log: createLog('bot', 'fatal'), metrics: createMetrics('bot'), now: () => new Date() })
t.teardown(() => bus.close())
const bucket = await bus.bucket(sessionBucket)
const [secret, newer] = ['0123456789abcdef0123456789abcdef', 'fedcba9876543210fedcba9876543210']
const held = (): boolean => true

const keyPair = { public: Buffer.from([1, 2, 3]), private: Buffer.from([4, 5, 6]) }
const everyType: SignalDataSet = {
  'pre-key': { 1: keyPair },
  session: { '900000000000002_1.0': Buffer.from('session') },
  'sender-key': { '120363@g.us::900000000000002::0': Buffer.from('sender key') },
  'sender-key-memory': { '120363@g.us': { '900000000000002@lid': true } },
  'app-state-sync-key': { 'AAAA+/=': proto.Message.AppStateSyncKeyData.fromObject({ keyData: Buffer.from([7, 8]), timestamp: 9 }) },
  'app-state-sync-version': { regular: { version: 3, hash: Buffer.from([1]), indexValueMap: { 'a/b=': { valueMac: Buffer.from([2]) } } } },
  'lid-mapping': { 6281200000001: '900000000000002', '900000000000002_reverse': '6281200000001' },
  'device-list': { 6281200000001: ['0', '1'] },
  tctoken: { '900000000000002@lid': { token: Buffer.from([9]), timestamp: '5' } },
  'identity-key': { '900000000000002_1.0': Buffer.from([5, 5]) },
}

t.test('a session', async (t) => {
  const first = await openSession(bucket, createCipher(secret), held)
  t.equal(first.isLinked(), false, 'is not linked at first')
  await first.auth.keys.set(everyType)
  first.auth.creds.me = { id: '6281200000001:7@s.whatsapp.net', name: 'Bot' }
  first.auth.creds.account = { details: Buffer.from([1]) }
  await first.saveCreds()

  const second = await openSession(bucket, createCipher(secret), held)
  t.equal(second.isLinked(), true, 'is linked after it was saved')
  t.same(JSON.parse(JSON.stringify(second.auth.creds)), JSON.parse(JSON.stringify(first.auth.creds)), 'comes back with its credentials')
  for (const [type, values] of Object.entries(everyType)) {
    const found = await second.auth.keys.get(type as 'session', Object.keys(values as object))
    t.same(JSON.parse(JSON.stringify(found)), JSON.parse(JSON.stringify(values)), `comes back with its ${type}`)
  }
  const [revived] = Object.values(await second.auth.keys.get('app-state-sync-key', ['AAAA+/=']))
  t.ok(revived instanceof proto.Message.AppStateSyncKeyData, 'app-state-sync-key is of its class again')
  await second.auth.keys.set({ session: { '900000000000002_1.0': null } })
  t.same(await second.auth.keys.get('session', ['900000000000002_1.0']), {}, 'a key set to null is gone')
  t.same(await (await openSession(bucket, createCipher(secret), held)).auth.keys.get('session', ['900000000000002_1.0']), {}, 'for the next process too')
})

t.test('what the store shows without a key', async (t) => {
  for (const text of ['6281200000001', '900000000000002']) {
    for (const shown of [text, Buffer.from(text).toString('base64url'), Buffer.from(`${text}_1.0`).toString('base64url')]) t.same(filesHolding(nats.storeDir, shown), [], 'is no number and no LID, be it in a name')
  }
  const names = await bucket.keys()
  t.same(new Set(names.filter((name) => name.includes('.')).map((name) => name.split('.')[1]?.length)), new Set([43]), 'but hashes')
})

t.test('credentials that change fast', async (t) => {
  const session = await openSession(bucket, createCipher(secret), held)
  const saves: Promise<void>[] = []
  for (let n = 1; n <= 20; n++) {
    session.auth.creds.nextPreKeyId = n
    saves.push(session.saveCreds())
  }
  await Promise.all(saves)
  t.equal((await openSession(bucket, createCipher(secret), held)).auth.creds.nextPreKeyId, 20, 'are stored as they were last')
})

t.test('the store', async (t) => {
  for (const name of await bucket.keys()) {
    const text = Buffer.from((await bucket.get(name))?.value ?? []).toString('latin1')
    if (/6281200000001|session|"public"/.test(text)) t.fail(`${name.split('.')[0]} is readable`)
  }
  t.pass('holds nothing readable')
  t.notOk((await bucket.keys()).some((name) => name.includes('@') || name.includes('6281200000001')), 'and no number in its names')
  const rotated = await openSession(bucket, createCipher(`${newer},${secret}`), held)
  await rotated.saveCreds()
  t.equal((await openSession(bucket, createCipher(newer), held)).isLinked(), true, 'is read with a new key once written with it')
  const late = await openSession(bucket, createCipher(newer), held)
  await t.rejects(async () => await late.auth.keys.get('device-list', ['6281200000001']), { code: 'SESSION_UNREADABLE' }, 'and not without the old key before')
  const both = createCipher(`${newer},${secret}`)
  /** All but the credentials and the key of the names, which every term writes. */
  const others = (await bucket.keys()).length - 2
  t.same(await resealSession(bucket, createCipher(newer), held), { resealed: 0, unreadable: others }, 'without the old key nothing else can be sealed anew, or is lost')
  await t.rejects(resealSession(bucket, both, () => false), { code: 'LEASE_LOST' }, 'nor by one who lost the lease')
  const { resealed } = await resealSession(bucket, both, held)
  t.equal(resealed, others, 'all of it is sealed anew at the start of a term')
  t.same(await resealSession(bucket, both, held), { resealed: 0, unreadable: 0 }, 'once')
  const after = await openSession(bucket, createCipher(newer), held)
  t.same(await after.auth.keys.get('device-list', ['6281200000001']), { 6281200000001: ['0', '1'] }, 'and then the old key may go')
  const moved = (await bucket.get('creds'))?.value ?? new Uint8Array()
  t.throws(() => createCipher(newer).open('other', moved), { code: 'SESSION_UNREADABLE' }, 'a value cannot be put under another name')
})

t.test('812 keys are stored within a second or two, and one who lost the lease stores none', async (t) => {
  let isHeld = true
  const session = await openSession(bucket, createCipher(newer), () => isHeld)
  const startedAt = performance.now()
  await session.auth.keys.set({ 'pre-key': Object.fromEntries(Array.from({ length: 812 }, (_, n) => [n + 1, keyPair])) })
  const tookMs = performance.now() - startedAt
  t.ok(tookMs < 5_000, `took ${Math.round(tookMs)} ms`)
  isHeld = false
  await t.rejects(session.saveCreds(), { code: 'LEASE_LOST' })
  await t.rejects(async () => { await session.auth.keys.set({ session: { a: Buffer.from('x') } }) }, { code: 'LEASE_LOST' })
  isHeld = true
  await session.clear()
  t.same(await bucket.keys(), [], 'cleared, nothing is left')
  const fresh = await openSession(bucket, createCipher(newer), held)
  t.not(fresh.auth.creds.registrationId, undefined)
  t.notSame(fresh.auth.creds.noiseKey, initAuthCreds().noiseKey)
})
