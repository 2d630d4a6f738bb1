import t from 'tap'
import { randomUUID } from 'node:crypto'
import { sayCaused } from '../../common/test/because.ts'
import { messageDelivered, messageOutbound } from '../../../contracts/events/messages.ts'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { jidOf, member, memberOf, outsider, seal, world } from './harness.ts'
import { claimId, claimOf, parties } from './parties.ts'
import { spawnBot } from './spawned.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

t.test('the address of somebody else', async (t) => {
  const here = await world(t)
  const refused = spawnBot(t, here.env, false)
  t.equal(await refused.exit, 1, 'is refused by a process without the staging bootstrap')
  t.match(refused.output(), 'WHATSAPP_URL_REFUSED')
  t.equal(here.whatsapp.connected().length, 0)
})

t.test('at the most talkative log level', async (t) => {
  const here = await world(t)
  const { whatsapp, env, told, bus } = here
  const others = await parties(here, [claimOf(member(1))])
  const bot = spawnBot(t, { ...env, LOG_LEVEL: 'trace' })
  await bot.saw('connected to WhatsApp')
  const notifier = await bus('notifier')
  const password = 'Aa1!bbbbbbbbbbbbbbbbbbbbbbbbbbbb'
  const login = async (id: string, claim_id: string): Promise<void> => {
    await sayCaused(notifier, messageOutbound, { key: id, data: { message_id: id, claim_id, member_id: memberOf(member(1)), kind: 'login', wa_jid: jidOf(member(1)), language: 'id', parts: ['Rahasia dapur', '{password}'], sealed_password: await seal(password) } })
  }
  await login('one', claimId)
  await told(messageDelivered, 1)
  await whatsapp.say(member(1), 'SANDI tolong kak')
  await whatsapp.until('a new login', () => others.passwords.length > 0 && whatsapp.chat(member(1)).some(({ text }) => text === others.passwords[0]))
  // New keys on the member's side make libsignal close and open sessions, which it would print.
  for (let n = 0; n < 3; n++) {
    whatsapp.reinstall(member(1))
    await whatsapp.say(member(1), 'halo rahasia')
    whatsapp.turnKnobs({ unreadable: 1 })
    // Of another claim: SANDI has replaced the login of the first.
    await login(`again-${n}`, randomUUID())
    await told(messageDelivered, n + 2)
  }
  whatsapp.join(outsider(1))
  await told(memberJoined, 1)
  whatsapp.leave(member(2))
  await told(memberLeft, 1)
  bot.child.kill('SIGTERM')
  t.equal(await bot.exit, 0, 'a bot stops when asked to')

  const output = bot.output()
  t.match(output, '"event":"message.delivered"', 'it says what it does')
  const lids = whatsapp.people().map(({ lid }) => lid)
  const secrets: Array<[string, string[]]> = [
    ['number', [member(1), member(2), outsider(1), whatsapp.botNumber]], ['LID', lids], ['password', [password, ...others.passwords]],
    ['word of a chat', ['Rahasia dapur', 'tolong kak', 'halo rahasia', 'Nama pengguna']], ['key', ['SessionEntry', 'privKey', 'rootKey', 'Closing session', env['SESSION_KEY'] as string, env['INTERNAL_SECRET'] as string]],
  ]
  for (const [what, values] of secrets) t.notOk(values.some((value) => output.includes(value)), `but no ${what}`)
})

t.test('a fault that the library does not handle itself', async (t) => {
  const here = await world(t)
  const { whatsapp, env, told } = here
  await parties(here, [claimOf(member(1))])
  const bot = spawnBot(t, env)
  await bot.saw('connected to WhatsApp')
  // The library asks for all groups then, and waits in a handler that catches nothing.
  whatsapp.turnKnobs({ groupQueryError: { code: 500, remaining: 100 } })
  whatsapp.sayGroupsDirty()
  await bot.saw('WHATSAPP_LIBRARY_FAULT')
  const notifier = await here.bus('notifier')
  await sayCaused(notifier, messageOutbound, { key: 'one', data: { message_id: 'one', claim_id: claimId, member_id: memberOf(member(1)), kind: 'failed', wa_jid: jidOf(member(1)), language: 'id', parts: ['Halo'] } })
  await told(messageDelivered, 1)
  bot.child.kill('SIGTERM')
  t.equal(await bot.exit, 0, 'does not end the bot, which goes on')
})
