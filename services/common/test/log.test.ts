import t from 'tap'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { permanent, transient } from '../fault.ts'
import { createLog } from '../log.ts'
import { maskedLine } from '../mask.ts'

const NUMBER = '6281200000001'
const PASSWORD = 'Correct-Horse-Battery-Staple-123'
const SEALED = 'eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..abcdefghijklmnop.qrstuvwxyzabcdef.ghijklmnop'

function written (say: (log: ReturnType<typeof createLog>) => void): string {
  let text = ''
  say(createLog('test', 'trace', (line) => { text += line }))
  return text
}

t.test('no way of logging lets a secret out', async (t) => {
  const ways: Record<string, (log: ReturnType<typeof createLog>) => void> = {
    'a field named like a secret': (log) => log.info({ password: PASSWORD, wa_jid: `${NUMBER}@s.whatsapp.net` }, 'x'),
    'one level down': (log) => log.info({ event: { password: PASSWORD, waJid: NUMBER } }, 'x'),
    'two levels down': (log) => log.info({ event: { data: { password: PASSWORD, wa_number_e164: `+${NUMBER}` } } }, 'x'),
    'a number in an honest field': (log) => log.info({ subject: `people.${NUMBER}@s.whatsapp.net` }, 'x'),
    'a number with a device': (log) => log.info({ who: `${NUMBER}:12@s.whatsapp.net` }, 'x'),
    'a number in the sentence': (log) => log.info(`sent to +${NUMBER}`),
    'a LID': (log) => log.info({ who: '900000000000003@lid' }, 'x'),
    'the message of a foreign error': (log) => log.error({ err: new Error(`refused ${PASSWORD} for ${NUMBER}`) }, 'x'),
    'the cause of a fault': (log) => log.error({ err: transient('X', 'fine', { cause: new Error(`refused ${PASSWORD} for ${NUMBER}`) }) }, 'x'),
    'ten levels down': (log) => log.info({ a: { b: { c: { d: { e: { f: [{ g: { password: PASSWORD, wa_jid: NUMBER } }] } } } } } }, 'x'),
    'digits alone': (log) => log.info({ subject: `members.${NUMBER}.left`, id: NUMBER }, 'x'),
    'a number that is one': (log) => log.info({ who: Number(NUMBER) }, 'x'),
    'the name of a field': (log) => log.info({ seen: { [NUMBER]: true } }, 'x'),
    'without its country code': (log) => log.info({ note: '081200000001' }, 'x'),
    'as people write it': (log) => log.info({ note: 'from 0812 0000 0001, 0812-0000-0001 or +62 812 0000 0001' }, 'x'),
    'a key of NATS': (log) => log.info({ note: `SU${'A'.repeat(56)}` }, 'x'),
    'a key of the panel': (log) => log.error({ note: 'ptla_abcdefghijklmnop0123456789' }, 'x'),
    'a sealed text': (log) => log.error({ note: SEALED }, 'x'),
  }
  for (const [way, say] of Object.entries(ways)) t.notMatch(written(say), new RegExp(`${NUMBER}|${PASSWORD}|81200000001|0000 0001|0000-0001|900000000000003|ptla_abc|SUAAA|eyJhbG`), way)
  t.notMatch(maskedLine(`no JSON: +${NUMBER}`), NUMBER, 'a line that is no JSON')
})

t.test('a line says what was chosen', async (t) => {
  const line = JSON.parse(written((log) => log.warn({ claim_id: 'c1', err: permanent('STORE_CORRUPT', 'the file is damaged') }, 'command rejected'))) as Record<string, unknown>
  t.match(line, { level: 'warn', service: 'test', claim_id: 'c1', msg: 'command rejected', err: { type: 'Fault', code: 'STORE_CORRUPT', message: 'the file is damaged' } })
  t.match(line['time'], /^\d{4}-.*Z$/)
  const ids = {
    claim_id: '702855d9-0aeb-4a24-9bc4-992312345678', message_id: 'leave-702855d9-0aeb-4a24-9bc4-992c3b89173c-d1-1795523651', member_id: 'ok6kcrt4dfl57rz2f45z', job: '702855d9-0aeb-4a24-9bc4-123456789012-d12',
    cause: 'claim.deletion_scheduled.v1:702855d9-0aeb-4a24-9bc4-992c3b89173c-d1:1795523651000', until: '2026-11-24T12:34:02.184Z', duration_ms: 86_400_000, version: '7.0.0-rc14', address: '127.65.100.200:20100',
  }
  t.match(JSON.parse(written((log) => log.info(ids, 'x'))), ids, 'ids, times and addresses stay')
})

t.test('a line that is not taken apart has nothing to mask', async (t) => {
  // What is escaped, and what is named like a secret, has a line taken apart.
  const apart = { apart: '\\', token: '[redacted]' }
  const taken = (facts: object): unknown => JSON.parse(maskedLine(JSON.stringify({ ...facts, ...apart })))
  const left = (facts: object): unknown => ({ ...JSON.parse(maskedLine(JSON.stringify(facts))) as object, ...apart })
  const piece = fc.oneof(
    fc.stringMatching(/^[+0]?\d{1,17}$/), fc.constantFrom(' ', '-', '.', '(', ')', ':', '@', '@lid', '123456@lid', '0812 3456 789', '@s.whatsapp.net', '@c.us', 'pt', 'ptla_', 'ptlc_', 'SU', 'eyJ', '\n', '"', 'x', '-d1'),
    fc.stringMatching(/^[A-Z2-7]{20,60}$/), fc.stringMatching(/^[a-zA-Z0-9_.]{1,24}$/),
  )
  const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''))
  const name = fc.oneof(fc.constantFrom('claim_id', 'note', 'password', 'wa_jid', 'key', 'data'), text)
  const value = fc.oneof(text, fc.uuid(), fc.integer(), fc.double({ noNaN: true }), fc.array(text, { maxLength: 2 }), fc.dictionary(name, text, { maxKeys: 2 }))
  fc.assert(fc.property(fc.dictionary(name, value, { maxKeys: 4 }), (facts) => isDeepStrictEqual(left(facts), taken(facts))), { numRuns: 1_000 })
  t.notMatch(maskedLine(JSON.stringify({ note: `+${NUMBER}` })), NUMBER)
})
