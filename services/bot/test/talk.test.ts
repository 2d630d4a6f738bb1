import t from 'tap'
import { sendLogin } from '../../../contracts/requests.ts'
import { jidOf, member, outsider, world } from './harness.ts'
import { claimId, claimOf, parties } from './parties.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

t.test('a member who writes', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, logged, bus } = here
  const others = await parties(here, [claimOf(member(1)), claimOf(member(2), { claim_id: '22222222-2222-4222-8222-222222222222', status: 'deleting', deletion_scheduled_at: '2026-11-23T15:48:00.000Z', language: 'en' })])
  const running = await bot({ PANEL_PUBLIC_URL: 'https://panel.example.org' })
  await logged('connected to WhatsApp')
  const heard = (number: string): string[] => whatsapp.chat(number).filter(({ from }) => from === 'bot').map(({ text }) => text)
  const answers = async (number: string, count: number): Promise<string[]> => {
    await whatsapp.until(`${count} answers`, () => heard(number).length >= count)
    return heard(number)
  }

  await whatsapp.say(member(1), 'STATUS')
  t.match((await answers(member(1), 1))[0], 'Server kamu aktif.')
  await whatsapp.say(member(1), 'sandi')
  const [, words, password] = await answers(member(1), 3)
  t.match(words, /https:\/\/panel\.example\.org\nNama pengguna: member-one/, 'gets a new login')
  t.equal(password, others.passwords[0], 'and the password alone in a message of its own')
  await whatsapp.say(member(1), 'SANDI')
  t.match((await answers(member(1), 4))[3], /Tunggu \d+ detik/, 'not twice in a minute')
  t.equal(others.passwords.length, 1)

  await whatsapp.say(member(2), 'status')
  t.match((await answers(member(2), 1))[0], /Monday.? 23 November 2026.* 22:48 WIB/, 'hears in the language of the claim when the server will go')
  others.refuse = 'PANEL_DOWN'
  await whatsapp.say(member(2), 'password')
  t.match((await answers(member(2), 2))[1], /could not be made/, 'and why a password could not be made')

  await whatsapp.say(outsider(1), 'SANDI')
  t.match((await answers(outsider(1), 1))[0], 'anggota grup', 'a stranger is told how to become a member')
  await whatsapp.say(outsider(1), 'SANDI')
  await whatsapp.say(member(3), 'SANDI')
  t.match((await answers(member(3), 1))[0], 'belum punya server')
  t.equal(heard(outsider(1)).length, 1, 'and then nothing for a while')

  const operator = await bus('operator')
  others.refuse = null
  t.same(await operator.request(sendLogin, { claim_id: claimId }), { ok: true }, 'an operator has a login sent')
  t.equal((await answers(member(1), 6))[5], others.passwords[1])
  t.same(await operator.request(sendLogin, { claim_id: '33333333-3333-4333-8333-333333333333' }), { ok: false, rejection: 'NOT_FOUND' })
  whatsapp.turnKnobs({ refuseSends: { code: 463, remaining: 1 } })
  t.same(await operator.request(sendLogin, { claim_id: claimId }), { ok: false, rejection: 'WHATSAPP_REACHOUT_LOCKED' }, 'and learns why it could not be')
  await running.stop()
})

t.test('whoever wants to be forgotten', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, logged, lines } = here
  const former = outsider(1)
  const others = await parties(here, [claimOf(member(1)), claimOf(former, { claim_id: '22222222-2222-4222-8222-222222222222', status: 'deleted', language: 'en' })])
  const running = await bot()
  await logged('connected to WhatsApp')
  const heard = (number: string): string[] => whatsapp.chat(number).filter(({ from }) => from === 'bot').map(({ text }) => text)
  const hears = async (number: string, text: string): Promise<string | undefined> => {
    const before = heard(number).length
    await whatsapp.say(number, text)
    await whatsapp.until('an answer', () => heard(number).length > before)
    return heard(number).at(-1)
  }
  t.match(await hears(member(1), 'HAPUS DATA'), 'Kamu masih punya server', 'has no server any more')
  t.match(await hears(member(2), 'hapus data saya'), 'Bahwa nomormu ada di grup', 'or never had one')
  t.match(await hears(outsider(2), 'hapus data'), 'Tidak ada klaim atau server', 'hears of themselves only')
  t.same(others.erased, [])
  t.match(await hears(former, 'Hapus data!'), 'is being erased', 'is, without being in the group')
  t.same(others.erased, [jidOf(former)])
  t.notOk(lines.some((line) => line.includes(former)), 'and no number is logged')
  await running.stop()
})

t.test('what is written while the bot is away', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, logged } = here
  await parties(here, [claimOf(member(1))])
  const first = await bot()
  await logged('connected to WhatsApp')
  await first.stop()
  await whatsapp.say(member(1), 'STATUS')
  const second = await bot()
  await whatsapp.until('an answer', () => whatsapp.chat(member(1)).some(({ from }) => from === 'bot'))
  t.match(whatsapp.chat(member(1)).at(-1)?.text, 'aktif', 'is answered when it is back')
  await second.stop()
  const third = await bot()
  await logged('connected to WhatsApp', 3)
  await third.check(member(1), true)
  t.equal(whatsapp.chat(member(1)).filter(({ from }) => from === 'bot').length, 1, 'once')
})
