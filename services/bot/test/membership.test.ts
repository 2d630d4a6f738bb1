import t from 'tap'
import { CHECK_MEMBER_PATH, INTERNAL_SECRET_HEADER } from '../../../contracts/http.ts'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { rosterBucket } from '../../../contracts/streams.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'
import { createAnnouncer, type AnnouncerOptions } from '../announcer.ts'
import { createBotMetrics, NO_BOT } from '../metrics.ts'
import { internalSecret, jidOf, member, memberOf, outsider, world } from './harness.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

t.test('the internal port', async (t) => {
  const { bot, logged } = await world(t)
  const { url } = await bot()
  await logged('connected to WhatsApp')
  const post = async (headers: Record<string, string>, body: string): Promise<number> =>
    (await fetch(new URL(CHECK_MEMBER_PATH, url), { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })).status
  const question = JSON.stringify({ wa_jid: jidOf(member(1)) })
  t.equal(await post({}, question), 401, 'needs the secret')
  t.equal(await post({ [INTERNAL_SECRET_HEADER]: `${internalSecret}x` }, question), 401)
  t.equal(await post({ [INTERNAL_SECRET_HEADER]: internalSecret }, question), 200)
  t.equal(await post({ [INTERNAL_SECRET_HEADER]: internalSecret }, '{"wa_jid":"x"}'), 400, 'and a proper question')
  t.equal(await post({ [INTERNAL_SECRET_HEADER]: internalSecret }, '{'), 400)
  t.equal(await post({ [INTERNAL_SECRET_HEADER]: internalSecret }, JSON.stringify({ wa_jid: 'x'.repeat(5_000) })), 413, 'of bounded size')
})

t.test('the internal port while the secret is changed', async (t) => {
  const { bot } = await world(t)
  const next = 'another-internal-secret'
  const { url } = await bot({ INTERNAL_SECRET: `${internalSecret},${next}` })
  const ask = async (secret: string): Promise<number> => (await fetch(new URL('/internal/pairing', url), { headers: { [INTERNAL_SECRET_HEADER]: secret } })).status
  t.same([await ask(internalSecret), await ask(next), await ask(`${internalSecret},${next}`), await ask('')], [200, 200, 401, 401], 'takes either, and not both at once')
})

t.test('members whose number the group hides', async (t) => {
  const { whatsapp, bot, logged, told, events } = await world(t)
  const hidden = whatsapp.addPerson({ number: '6281200000091', isHidden: true, inGroup: true })
  whatsapp.addPerson({ number: '6281200000092', isHidden: true, inGroup: true })
  const running = await bot()
  await logged('connected to WhatsApp')
  t.match(await running.check(hidden.number, true), { membership: 'present' }, 'are found by their LID')
  t.match(await running.check(outsider(1), true), { membership: 'absent' }, 'and not mistaken for others')
  t.match(await running.check('6281400000099', true), { membership: 'unknown' }, 'a number that is not on WhatsApp may be anybody')
  t.match(await running.check('6281400000099'), { membership: 'absent' }, 'but is no member who can claim')
  whatsapp.leave(hidden.number)
  whatsapp.leave('6281200000092')
  const [left] = await told(memberLeft, 1)
  t.equal(left?.data.wa_jid, jidOf(hidden.number), 'leave under the number that was learnt')
  await logged('somebody came or went whose number was never seen')
  t.equal((await events(memberLeft)).length, 1, 'and under none where none was')
})

t.test('a number that is dialled in another way', async (t) => {
  const { whatsapp, bot, logged } = await world(t)
  const person = whatsapp.addPerson({ number: '551188887777', dialled: ['5511988887777'], inGroup: true })
  const running = await bot()
  await logged('connected to WhatsApp')
  t.match(await running.check('5511988887777', true), { membership: 'present', wa_jid: jidOf(person.number), member_id: memberOf(person.number) }, 'is answered with the number as WhatsApp writes it')
})

t.test('a group that cannot be read', async (t) => {
  const { whatsapp, bot, logged, events, told } = await world(t, { members: 30 })
  const running = await bot({ ROSTER_CONFIRM_READS: '3', ROSTER_CONFIRM_MS: '1' })
  await logged('connected to WhatsApp')
  t.match(await running.check(member(1), true), { membership: 'present' })
  for (const code of [403, 404, 429]) {
    whatsapp.turnKnobs({ groupQueryError: { code, remaining: 1 } })
    t.match(await running.check(member(1), true), { membership: 'unknown' }, `${code}: unknown`)
    if (code !== 429) t.match(await running.check(outsider(1)), { membership: 'unknown' })
    if (code !== 429) t.match(await running.check(member(1), true), { membership: 'present' }, 'until it can be read again')
  }
  const next = await (async () => { await running.stop(); return await bot({ ROSTER_CONFIRM_READS: '3', ROSTER_CONFIRM_MS: '1' }) })()
  await logged('connected to WhatsApp', 2)
  await next.check(member(1), true)
  whatsapp.turnKnobs({ rosterLimit: 0 })
  t.match(await next.check(member(1), true), { membership: 'unknown' }, 'an empty list says nothing')
  whatsapp.turnKnobs({ rosterLimit: 10 })
  t.match(await next.check(member(1), true), { membership: 'present' }, 'of a shrunken list, who is on it is there')
  t.match(await next.check(member(30), true), { membership: 'unknown' }, 'and who is not is unknown')
  t.same(await events(memberLeft), [], 'nobody is said to have left')
  whatsapp.turnKnobs({ rosterLimit: null })
  t.match(await next.check(member(30), true), { membership: 'present' })
  whatsapp.remove(Array.from({ length: 10 }, (_, n) => member(n + 1)))
  await next.check(member(20), true)
  t.same(await events(memberLeft), [], 'ten at once are not believed at first')
  await next.check(member(20), true)
  await next.check(member(20), true)
  t.equal((await told(memberLeft, 10)).length, 10, 'but when it is read again and again')
})

t.test('people who come and go while the bot is away', async (t) => {
  const { whatsapp, bot, logged, told, events } = await world(t, { addressing: 'pn' })
  const first = await bot()
  await logged('connected to WhatsApp')
  await first.check(member(1), true)
  await first.stop()
  whatsapp.turnKnobs({ notifications: 'lose' })
  whatsapp.leave(member(1))
  whatsapp.join(outsider(1))
  whatsapp.setAddressing('lid')
  whatsapp.changeNumber(member(2), '6281200009999')
  const second = await bot()
  t.equal((await told(memberLeft, 1))[0]?.data.wa_jid, jidOf(member(1)))
  t.equal((await told(memberJoined, 1))[0]?.data.wa_jid, jidOf(outsider(1)))
  t.match(await second.check(member(2), true), { membership: 'present', wa_jid: jidOf(member(2)) }, 'whoever has a new number is still there under the old one')
  t.match(await second.check('6281200009999', true), { membership: 'present' })
  t.equal((await events(memberLeft)).length + (await events(memberJoined)).length, 2)
})

t.test('announcements of a bot that dies', async (t) => {
  const { bus, events } = await world(t)
  const working = await bus('bot')
  const bucket = await working.bucket(rosterBucket)
  const died = new Error('died')
  const announcer = async (more: Partial<AnnouncerOptions> = {}) => await createAnnouncer({
    bucket, bus: working, groupId: '120363@g.us', memberIdOf: (waJid) => memberOf(waJid.split('@')[0] ?? ''), policy: { confirmReads: 3, confirmMs: 1_000 }, log: createLog('bot', 'fatal'),
    metrics: createBotMetrics(createMetrics('bot'), NO_BOT), ...more,
  })
  const reading = (...numbers: number[]) => ({ readAt: Date.now(), includesUs: true, people: numbers.map((n) => ({ phone: member(n), lid: `9${n}` })) })
  const said = async (): Promise<string[]> => [...(await events(memberJoined)).map(({ data }) => `+${data.wa_jid}`), ...(await events(memberLeft)).map(({ data }) => `-${data.wa_jid}`)]

  await (await announcer()).take(reading(1, 2, 3))
  t.same(await said(), [])
  // Dies after the roster is written, before anything is said.
  const mute = await announcer({ bus: { publish: async () => { throw died } } })
  await t.rejects(mute.take(reading(1, 2, 4)), died)
  t.same(await said(), [])
  // Says one of two, then dies before the roster is written without them.
  let left = 1
  const half = await announcer({ bus: { publish: async (...said) => { if (left-- === 0) throw died; return await working.publish(...said) } } })
  await t.rejects(half.flush(), died)
  t.same((await said()).length, 1)
  const unforgetting = await announcer({ bucket: { ...bucket, update: async () => { throw died } } })
  await t.rejects(unforgetting.flush(), died)
  await (await announcer()).take(reading(1, 2, 4))
  t.same(await said(), [`+${jidOf(member(4))}`, `-${jidOf(member(3))}`], 'are neither lost nor doubled')
  t.same(await (await announcer()).take(reading(1, 2, 4)), 'same')

  const [one, other] = [await announcer(), await announcer()]
  await one.take(reading(1, 2))
  await t.rejects(other.take(reading(1, 2, 4, 5)), { code: 'ROSTER_CONFLICT' }, 'two bots cannot both write')
  await other.take(reading(1, 2, 4, 5))
  t.same((await said()).length, 5)

  const before = new Set(await said())
  const elsewhere = { groupId: '6281200000009-1500000000@g.us' }
  await (await announcer(elsewhere)).take(reading(7, 8))
  await (await announcer(elsewhere)).take(reading(7, 9))
  t.same((await said()).filter((each) => !before.has(each)), [`+${jidOf(member(9))}`, `-${jidOf(member(8))}`], "one group's people are no news of another's")
  t.same(await bucket.keys(), ['group'], 'and the name of the entry is not the id of the group, in which a number may stand')
})
