import t from 'tap'
import fc from 'fast-check'
import { WaJid } from '../../../contracts/ids.ts'
import { validatorOf } from '../../common/envelope.ts'
import { waJidOf } from '../phone-number.ts'

const ACCEPTED: ReadonlyArray<readonly [typed: string, digits: string, why: string]> = [
  ['081200000001', '6281200000001', 'as Indonesians write it'],
  ['6281200000001', '6281200000001', 'with the country code but without +'],
  ['+6281200000001', '6281200000001', 'E.164'],
  ['81200000001', '6281200000001', 'without the leading 0'],
  ['+62 812-0000-0001', '6281200000001', 'as WhatsApp shows it'],
  ['  0812 0000 0001  ', '6281200000001', 'with spaces'],
  ['0812.0000.0001', '6281200000001', 'with dots'],
  ['(0812) 0000-0001', '6281200000001', 'with parentheses'],
  ['+62 (0) 812 0000 0001', '6281200000001', 'with the 0 that only counts at home'],
  ['+620812 0000 0001', '6281200000001', 'with a 0 too many'],
  ['0062 812 0000 0001', '6281200000001', 'with 00 for +'],
  ['\u202a+62 812\u20110000\u20110001\u202c', '6281200000001', 'copied from a contact, with invisible marks and no-break dashes'],
  ['\uff10\uff18\uff11\uff12\uff10\uff10\uff10\uff10\uff10\uff10\uff10\uff11', '6281200000001', 'in full-width digits'],
  ['+1 202 555 0100', '12025550100', 'of the United States'],
  ['+44 7400 000001', '447400000001', 'of the United Kingdom'],
  ['+55 11 98765-4321', '5511987654321', 'of Brazil'],
]
const REFUSED: ReadonlyArray<readonly [typed: string, why: string]> = [
  ['', 'nothing'], ['   ', 'spaces'], ['0812', 'too short'], ['081200000001234567', 'too long'], ['+15550000001', 'no such area'],
  ['12025550100', 'a foreign number without +'], ['0812 0000 000x', 'a letter'], ['081200000001 ext 5', 'an extension'],
  ['081200000001;081200000002', 'two numbers'], ['+62+81200000001', 'two plus signs'], ['6281200000001@s.whatsapp.net', 'a JID'],
  ['٠٨١٢'.repeat(20), 'longer than any number'], ['--------', 'dashes'], ['+', 'a plus sign'],
]

t.test('a number', async (t) => {
  for (const [typed, digits, why] of ACCEPTED) t.equal(waJidOf(typed), `${digits}@s.whatsapp.net`, `is understood ${why}`)
  for (const [typed, why] of REFUSED) t.equal(waJidOf(typed), undefined, `is refused: ${why}`)
})

t.test('whatever is typed, the answer is a JID or none', async (t) => {
  const typed = fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), fc.string({ unit: fc.constantFrom(...'+0123456789 -().'.split('')), maxLength: 40 }))
  fc.assert(fc.property(typed, (text) => {
    const jid = waJidOf(text)
    return jid === undefined || validatorOf(WaJid).Check(jid)
  }), { numRuns: 500 })
  t.pass()
})
