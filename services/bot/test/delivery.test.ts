import t from 'tap'
import { sayCaused } from '../../common/test/because.ts'
import { messageDelivered, messageOutbound, messageUndeliverable } from '../../../contracts/events/messages.ts'
import { sentBucket } from '../../../contracts/streams.ts'
import { createLog } from '../../common/log.ts'
import { createDelivery, type Outbound } from '../delivery.ts'
import { sendLogin } from '../../../contracts/requests.ts'
import { jidOf, member, memberOf, outsider, seal, world, type World } from './harness.ts'
import { claimOf, parties } from './parties.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

const claimId = '11111111-1111-4111-8111-111111111111'
const password = 'Aa1!aaaaaaaaaaaaaaaaaaaaaaaaaaaa'

async function login (number: string, id: string, more: Partial<Outbound> = {}): Promise<Outbound> {
  return {
    message_id: id, claim_id: claimId, member_id: memberOf(number), kind: 'login', wa_jid: jidOf(number), language: 'id',
    parts: ['Server kamu siap!', '{password}'], sealed_password: await seal(password), ...more,
  }
}
const say = async ({ bus }: World, data: Outbound): Promise<void> => {
  const notifier = await bus('notifier')
  await sayCaused(notifier, messageOutbound, { key: data.message_id, data })
}

t.test('a login', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, told, logged, lines } = here
  const running = await bot()
  await logged('connected to WhatsApp')
  await say(here, await login(member(1), 'login-1', { requested_at: new Date(Date.now() - 100_000).toISOString() }))
  const [delivered] = await told(messageDelivered, 1)
  t.match(delivered, { id: 'message.delivered.v1:login-1', data: { message_id: 'login-1', kind: 'login', member_id: memberOf(member(1)) } })
  t.same(whatsapp.chat(member(1)).map(({ text }) => text), ['Server kamu siap!', password], 'arrives as two messages, the password alone in the second')
  t.ok(whatsapp.deliveries(member(1)).filter(({ own }) => !own).every(({ addressing }) => addressing === 'lid'), 'by the LID')
  t.same([await running.metric('klaim_claim_lead_seconds_count'), await running.metric('klaim_claim_lead_seconds_bucket{le="90"'), await running.metric('klaim_claim_lead_seconds_bucket{le="120"')], [1, 0, 1], 'and its member waited since the claim was accepted')
  t.notOk(lines.some((line) => line.includes(password) || line.includes(member(1)) || line.includes('Server kamu siap')), 'and is in no log')

  await say(here, await login(member(1), 'login-old', { expires_at: new Date(Date.now() - 1).toISOString() }))
  await say(here, await login('6281400000001', 'login-nobody'))
  await say(here, await login(member(1), 'login-sealed', { sealed_password: (await seal('x')).replace(/\.[^.]+$/, '.AAAAAAAAAAAAAAAAAAAAAA') }))
  await say(here, await login(outsider(1), 'login-outsider'))
  t.same(Object.fromEntries((await told(messageUndeliverable, 3)).map(({ data }) => [data.message_id, data.code])),
    { 'login-old': 'MESSAGE_EXPIRED', 'login-nobody': 'WHATSAPP_NOT_REGISTERED', 'login-sealed': 'SEAL_UNREADABLE' }, 'that cannot be sent is told to be undeliverable')
  await told(messageDelivered, 2)
  const undelivered = async (code: string) => await running.metric(`klaim_logins_undelivered_total{code="${code}"`)
  t.same(await Promise.all(['MESSAGE_EXPIRED', 'WHATSAPP_NOT_REGISTERED', 'SEAL_UNREADABLE', 'WHATSAPP_REFUSED'].map(undelivered)), [1, 1, 1, 0], 'and is counted')
  t.equal(await running.metric('klaim_claim_lead_seconds_count'), 1, 'of a login from before it was told, nobody knows how long it took')
  t.same(whatsapp.chat(outsider(1)).length, 2, 'somebody outside the group is written to by the LID as well')
  t.ok(whatsapp.deliveries(outsider(1)).filter(({ own }) => !own).every(({ addressing }) => addressing === 'lid'))
})

t.test('a login whose turn comes when a newer password was set and sent', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, told, logged, bus } = here
  const { passwords } = await parties(here, [claimOf(member(1))])
  await bot()
  await logged('connected to WhatsApp')
  t.same(await (await bus('operator')).request(sendLogin, { claim_id: claimId }), { ok: true })
  await say(here, await login(member(1), 'login-late'))
  t.match((await told(messageUndeliverable, 1))[0]?.data, { message_id: 'login-late', code: 'LOGIN_REPLACED' }, 'is not sent')
  t.equal(whatsapp.chat(member(1)).at(-1)?.text, passwords[0], 'and the last password in the chat is the one that opens the panel')
  await say(here, await login(member(1), 'leave-late', { kind: 'leave_warning', parts: ['Gabung lagi'] }))
  t.match((await told(messageDelivered, 1))[0]?.data, { message_id: 'leave-late' }, 'what else is said about the claim is')
})

t.test('a warning that is still true by the right clock', async (t) => {
  const here = await world(t)
  const { bot, told, logged } = here
  await bot({}, () => new Date(Date.now() + 5 * 3_600_000))
  await logged('connected to WhatsApp')
  await say(here, await login(member(1), 'leave-1', { kind: 'leave_warning', parts: ['Gabung lagi'], expires_at: new Date(Date.now() + 4 * 3_600_000).toISOString() }))
  t.match((await told(messageDelivered, 1))[0]?.data, { message_id: 'leave-1' }, 'is sent by a bot whose clock is five hours ahead')
})

t.test('a refused login', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, told, logged } = here
  const running = await bot()
  await logged('connected to WhatsApp')
  t.equal(await running.metric('klaim_whatsapp_restricted'), 0)
  whatsapp.turnKnobs({ refuseSends: { code: 463, remaining: -1 }, restrictedUntil: Math.floor(Date.now() / 1_000) + 3_600 })
  await say(here, await login(member(2), 'login-2'))
  t.match((await told(messageUndeliverable, 1))[0]?.data, { message_id: 'login-2', code: 'WHATSAPP_REACHOUT_LOCKED' })
  t.equal(whatsapp.deliveries(member(2)).filter(({ own }) => !own).length, 1, 'is tried once, and its second part never')
  t.ok(await running.metric('klaim_whatsapp_reachout_locked_until_timestamp_seconds') > Date.now() / 1_000, 'and WhatsApp was asked how long it locks us')
  t.equal(await running.metric('klaim_whatsapp_restricted'), 1, 'and that it is restricted shows')
  whatsapp.turnKnobs({ refuseSends: { code: 503, remaining: 1 }, restrictedUntil: null })
  await say(here, await login(member(3), 'login-3'))
  await told(messageDelivered, 1)
  t.equal(whatsapp.chat(member(3)).length, 2, 'one refused for a moment is tried again')
})

t.test('a login that the phone cannot read for as long as it asks', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, told, logged } = here
  await bot()
  await logged('connected to WhatsApp')
  // The phone asks five times for one message; the fifth is the one that it can read.
  whatsapp.turnKnobs({ unreadable: 5 })
  await say(here, await login(member(1), 'login-unreadable'))
  await told(messageDelivered, 1)
  await whatsapp.until('both parts are read', () => whatsapp.chat(member(1)).length === 2)
  t.same(whatsapp.chat(member(1)).map(({ text }) => text).toSorted(), ['Server kamu siap!', password].toSorted())
})

t.test('an acknowledgement that is lost', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, told, logged } = here
  await bot()
  await logged('connected to WhatsApp')
  whatsapp.turnKnobs({ cut: { when: 'before-ack', remaining: 1 } })
  await say(here, await login(member(1), 'login-4'))
  await told(messageDelivered, 1)
  const copies = whatsapp.deliveries(member(1)).filter(({ own }) => !own)
  t.equal(copies.length, 3, 'has the part sent again')
  t.equal(copies[0]?.messageId, copies[1]?.messageId, 'under the same id')
  t.same(whatsapp.chat(member(1)).map(({ text }) => text), ['Server kamu siap!', password], 'so that the member sees it once')
})

t.test('a bot that dies between storing and sending, and after sending', async (t) => {
  const here = await world(t)
  const { whatsapp, bus, told, logged } = here
  const running = await here.bot()
  await logged('connected to WhatsApp')
  // The steps of a bot that stops at a chosen point, against the real store; the real bot then gets the same message.
  const dying = await bus('bot')
  const sent = await dying.bucket(sentBucket)
  const message = await login(member(4), 'login-5')
  const ids = ['3EB0AAAAAAAAAAAAAAAAAA', '3EB0BBBBBBBBBBBBBBBBBB']
  const died = new Error('died')
  const counted: string[] = []
  const dyingAt = (point: 'before' | 'after') => createDelivery({
    bus: dying, sent, open: async () => password, askReachoutLock: async () => {}, onConcluded: (_, outcome) => { counted.push(outcome) }, log: createLog('bot', 'fatal'),
    link: () => ({ messageId: () => ids.shift() as string }) as never,
    numbers: { canonical: async (digits) => digits, lidOf: async () => null, addressee: async (phone) => ({ phone }) },
    sender: { send: async () => { if (point === 'before') throw died; return { kind: 'accepted' } } },
  })
  await t.rejects(dyingAt('before')(message, 'x'), died)
  t.match(JSON.parse((await sent.get('out.login-5'))?.text() ?? ''), { parts: [{ id: '3EB0AAAAAAAAAAAAAAAAAA', accepted: false }, { accepted: false }], outcome: null }, 'the ids are stored before anything is sent')
  await say(here, message)
  await told(messageDelivered, 1)
  t.same(whatsapp.chat(member(4)).map(({ id }) => id), ['3EB0AAAAAAAAAAAAAAAAAA', '3EB0BBBBBBBBBBBBBBBBBB'], 'and are those that the member sees')
  t.notMatch((await sent.get('out.login-5'))?.text(), password, 'the password is not stored')
  await dyingAt('after')(message, 'x')
  t.equal((await told(messageDelivered, 1)).length, 1, 'a message that comes again is announced once')
  t.same(counted, [], 'and counted by the one who wrote down what became of it')
  t.equal(whatsapp.deliveries(member(4)).filter(({ own }) => !own).length, 2, 'and not sent again')
  await running.stop()
})

t.test('while WhatsApp is away', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, told, logged, bus } = here
  const running = await bot()
  await logged('connected to WhatsApp')
  whatsapp.turnKnobs({ loginError: { code: 503, remaining: 4 } })
  whatsapp.closeConnections(428)
  await logged('the connection to WhatsApp has ended')
  await say(here, await login(member(1), 'login-6'))
  await told(messageDelivered, 1)
  t.equal(whatsapp.chat(member(1)).length, 2, 'messages wait')
  const operator = await bus('operator')
  const { num_redelivered } = await operator.raw.jsm.consumers.info('MESSAGES', 'bot-messages')
  t.equal(num_redelivered, 0, 'without using up their tries')
  await running.stop()
})

t.test('messages are paced, within a chat less than between chats', async (t) => {
  const here = await world(t)
  const { whatsapp, bot, told, logged } = here
  await bot({ SEND_GAP_MS: '600' })
  await logged('connected to WhatsApp')
  for (const each of [1, 2, 3]) await say(here, await login(member(each), `login-paced-${each}`))
  await told(messageDelivered, 3)
  const sent = [1, 2, 3].flatMap((each) => whatsapp.deliveries(member(each)).filter(({ own }) => !own).map(({ at }) => ({ each, at }))).toSorted((one, two) => one.at - two.at)
  const gaps = sent.slice(1).map(({ each, at }, index) => ({ same: each === sent[index]?.each, gap: at - (sent[index]?.at ?? 0) }))
  t.equal(gaps.length, 5)
  for (const { same, gap } of gaps) t.ok(gap >= (same ? 140 : 590), `${gap} ms ${same ? 'within a chat' : 'between chats'}`)
})
