import t from 'tap'
import fc from 'fast-check'
import { createHmac } from 'node:crypto'
import { headers } from '@nats-io/transport-node'
import { MAC_HEADER } from '../../common/envelope.ts'
import { createMac, hmacOf } from '../mac.ts'

t.test('a digest is what Node makes it', async () => {
  const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength })
  fc.assert(fc.property(bytes(200), fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 80 }), bytes(2_000)), { minLength: 1, maxLength: 5 }), (key, messages) => {
    // Several by one: nothing of a message may be left for the next.
    const digest = hmacOf(key)
    return messages.every(([head, body]) => digest(head, body) === createHmac('sha256', key).update(head).update(body).digest('base64url'))
  }), { numRuns: 500 })
})

t.test('what another key signed, or what was changed, is not ours', async (t) => {
  const [one, both] = [createMac('k'.repeat(32)), createMac(` ${'n'.repeat(80)}, ${'k'.repeat(32)}`)]
  const message = { subject: 'claims.m.requested', id: 'requested.1', type: 'klaim.claim.requested.v1', time: '2026-01-02T03:04:05.000Z', body: '{"member_id":"é"}' }
  const mac = one.sign(message)
  t.ok(one.verify(message, mac))
  t.ok(both.verify({ ...message, body: Buffer.from(message.body) }, mac), 'text and bytes are the same, and an older key is believed')
  t.notOk(one.verify(message, both.sign(message)), 'the newest signs')
  for (const name of ['subject', 'id', 'type', 'time', 'body'] as const) t.notOk(one.verify({ ...message, [name]: `${message[name]} ` }, mac), name)
  for (const wrong of ['', mac.slice(1), `${mac}=`, `${mac.slice(0, -1)}~`, 'é'.repeat(43)]) t.notOk(one.verify(message, wrong), wrong)
})

t.test('a time is signed as it is written', async (t) => {
  const { sign, isOurs } = createMac('k'.repeat(32))
  const stored = { subject: 'claims.m.requested', data: Buffer.from('{}') }
  const signedAt = (time: string): boolean => {
    const header = headers()
    const mac = sign({ subject: stored.subject, id: 'requested.1', type: 'klaim.claim.requested.v1', time, body: '{}' })
    for (const [name, value] of Object.entries({ 'ce-id': 'requested.1', 'ce-type': 'klaim.claim.requested.v1', 'ce-time': time, [MAC_HEADER]: mac })) header.set(name, value)
    return isOurs({ ...stored, header })
  }
  t.ok(signedAt('2026-01-02T03:04:05.000Z'))
  // Others cannot be ours, and one that had a line break in it would have its end somewhere else.
  for (const other of ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.000+00:00', '2026-13-02T03:04:05.000Z', '']) t.notOk(signedAt(other), other)
})
