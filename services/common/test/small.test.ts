// The small pure parts: what becomes of a message, pseudonyms, seals, languages.
import t from 'tap'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { disposition } from '../disposition.ts'
import { permanent, transient } from '../fault.ts'
import { languageOf } from '../language.ts'
import { memberIdOf } from '../member-id.ts'
import { createOpener, createSealer } from '../seal.ts'

t.test('what becomes of a message whose handler threw', async (t) => {
  const policy = { deliveriesMax: 5, delayMsFirst: 100, delayMsMax: 1_000 }
  const bug = new TypeError('x')
  t.same([1, 2, 3, 4, 5].map((count) => disposition(transient('X', ''), count, policy)), [
    { kind: 'retry', delayMs: 100 }, { kind: 'retry', delayMs: 200 }, { kind: 'retry', delayMs: 400 }, { kind: 'retry', delayMs: 800 }, { kind: 'dead-letter', reason: 'DELIVERIES_EXHAUSTED' },
  ], 'transient: again, later each time, not for ever')
  t.same(disposition(transient('X', ''), 40, { ...policy, deliveriesMax: 100 }), { kind: 'retry', delayMs: 1_000 }, 'never later than the limit')
  t.same(disposition(transient('X', '', { retryAfterMs: 9_000 }), 1, policy), { kind: 'retry', delayMs: 9_000 }, 'as late as the world asks')
  t.same(disposition(permanent('X', ''), 1, policy), { kind: 'dead-letter', reason: 'X' }, 'permanent: at once')
  t.same(disposition(bug, 1, policy), { kind: 'retry', delayMs: 100 }, 'a bug: like transient')
})

t.test('a pseudonym', async (t) => {
  const key = 'k'.repeat(32)
  const bits = [...createHmac('sha256', key).update('6281200000001@s.whatsapp.net').digest()].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const slow = Array.from({ length: 20 }, (_, index) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(bits.slice(index * 5, index * 5 + 5), 2)]).join('')
  t.equal(memberIdOf(key, '6281200000001@s.whatsapp.net'), slow, 'is the first hundred bits of the HMAC in base32')
  fc.assert(fc.property(fc.string(), fc.string(), (one, two) => /^[a-z2-7]{20}$/.test(memberIdOf(key, one)) && (one === two) === (memberIdOf(key, one) === memberIdOf(key, two))))
  t.not(memberIdOf('x'.repeat(32), '6281200000001@s.whatsapp.net'), slow, 'depends on the key')
})

t.test('a seal', async (t) => {
  const pair = (kid: string) => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return { shown: JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kid }), kept: { ...privateKey.export({ format: 'jwk' }), kid } }
  }
  const [old, current, foreign] = [pair('old'), pair('current'), pair('foreign')]
  const open = await createOpener(JSON.stringify({ keys: [current.kept, old.kept] }))
  for (const { shown } of [current, old]) {
    const sealed = await (await createSealer(shown))('secret')
    t.notMatch(sealed, /secret/)
    t.equal(await open(sealed), 'secret', 'is opened by its key, the old one too during a rotation')
  }
  await t.rejects(async () => await open(await (await createSealer(foreign.shown))('secret')), { code: 'SEAL_UNREADABLE' }, 'of a foreign key is not')
  const sealed = await (await createSealer(current.shown))('secret')
  await t.rejects(open(`${sealed.slice(0, -4)}AAAA`), { code: 'SEAL_UNREADABLE' }, 'that was broken is not')
})

t.test('the language of a caller', async (t) => {
  for (const [header, language] of [[undefined, 'id'], ['', 'id'], ['en-US,en;q=0.9', 'en'], ['id-ID,id;q=0.9,en;q=0.8', 'id'], ['de,en;q=0.5', 'en'], ['en;q=0.1,id;q=0.2', 'id'], ['fr', 'id'], ['en;q=0', 'id'], ['*', 'id']] as const) t.equal(languageOf(header), language, String(header))
})
