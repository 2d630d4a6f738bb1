import t from 'tap'
import fc from 'fast-check'
import { EVENTS } from '../../../contracts/catalog.ts'
import { maskedBody, revealedBody } from '../masking.ts'

const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
const types = EVENTS.map(({ type }) => type)
const names = [...new Set(EVENTS.flatMap(({ data }) => Object.keys(data.properties)))]

t.test('a masked body', async (t) => {
  const number = fc.integer({ min: 6_281_200_000_000, max: 6_281_299_999_999 })
  const secret = number.chain((digits) => fc.constantFrom(String(digits), `+${digits}`, `${digits}@s.whatsapp.net`, `call ${digits}`, digits, [String(digits)], { wa_jid: digits }, `eyJ${digits}.a.b.c.d`).map((value) => ({ digits: String(digits), value })))
  fc.assert(fc.property(fc.constantFrom(...types, 'unknown'), fc.constantFrom(...names, 'anything'), secret, (type, name, { digits, value }) => {
    return !maskedBody(type, bytes({ [name]: value })).includes(digits)
  }), { numRuns: 5_000 })
  fc.assert(fc.property(fc.constantFrom(...types), secret, (type, { digits, value }) => {
    return !maskedBody(type, bytes({ [digits]: 1 })).includes(digits) && !maskedBody(type, bytes(value)).includes(digits)
  }))
  t.match(maskedBody('unknown', Buffer.from([0xff, 0xfe])), '[hidden]: 2 bytes')
})

t.test('not even a revealed one can steer a terminal', async () => {
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)), fc.string({ unit: 'binary' }).map((text) => bytes({ text })), fc.uint8Array()), (data) => {
    return !/\p{Cc}/u.test(revealedBody(data).replaceAll('\n', ''))
  }), { numRuns: 2_000 })
})
