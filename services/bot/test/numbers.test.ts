import t from 'tap'
import { createNumbers } from '../numbers.ts'
import type { Link } from '../whatsapp.ts'

function asking (known: Record<string, string> = {}) {
  const asked: string[] = []
  const clock = { now: 0 }
  const link = {
    canonical: async (digits: string) => { asked.push(`number ${digits}`); return digits.endsWith('0') ? null : `${digits}1` },
    lidOf: async (phone: string) => { asked.push(`lid ${phone}`); return `9${phone}` },
  } as unknown as Link
  return { asked, clock, numbers: createNumbers({ link: () => link, known: (phone) => known[phone], perMinuteMax: 3, now: () => clock.now }) }
}

t.test('WhatsApp is asked as seldom as possible', async (t) => {
  const { numbers, asked, clock } = asking({ 55: '9' })
  t.equal(await numbers.canonical('55'), '55')
  t.same(await numbers.addressee('55'), { phone: '55', lid: '9' })
  t.same(asked, [], 'not about members')
  t.equal(await numbers.canonical('66'), '661')
  t.equal(await numbers.canonical('66'), '661')
  t.equal(await numbers.canonical('70'), null)
  t.equal(await numbers.canonical('70'), null)
  t.same(asked, ['number 66', 'number 70'], 'not twice within minutes')
  clock.now = 11 * 60_000
  t.equal(await numbers.canonical('70'), null)
  t.equal(await numbers.canonical('66'), '661')
  t.same(asked, ['number 66', 'number 70', 'number 70'], 'but a number may come to WhatsApp at any time')
  await numbers.canonical('71')
  await numbers.canonical('72')
  await t.rejects(numbers.canonical('73'), { code: 'WHATSAPP_LOOKUPS_SPENT', kind: 'transient' }, 'and not about many strangers within a minute')
  t.same(await numbers.addressee('74'), { phone: '741', lid: '9741' }, 'which does not hold back what has to be sent')
  clock.now += 60_000
  t.equal(await numbers.lidOf('741', false), '9741')
  const before = asked.length
  await numbers.lidOf('741', true)
  t.equal(asked.length, before + 1, 'and where a deletion hangs on it, anew')
  await t.rejects(createNumbers({ link: () => null, known: () => undefined, perMinuteMax: 1 }).canonical('1'), { code: 'WHATSAPP_CLOSED' })
})
