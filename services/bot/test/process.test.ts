import t, { type Test } from 'tap'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { messageDelivered, messageOutbound } from '../../../contracts/events/messages.ts'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { jidOf, member, memberOf, outsider, seal, world } from './harness.ts'
import { claimId, claimOf, parties } from './parties.ts'

const root = new URL('../../..', import.meta.url).pathname

interface Spawned { readonly child: ChildProcess, output: () => string, saw: (text: string) => Promise<void>, exit: Promise<number | null> }

/** The bot as it runs in staging; everything it writes is kept. */
function spawnBot (t: Test, env: Record<string, string>, bootstrap = true): Spawned {
  const child = spawn(process.execPath, [...(bootstrap ? ['--import', './deploy/staging/whatsapp/trust-root.ts'] : []), 'services/bot/main.ts'], { cwd: root, env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe'] })
  let written = ''
  const exit = once(child, 'exit').then(([code]) => code as number | null)
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => { written += chunk.toString() })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  return {
    child, exit, output: () => written,
    saw: async (text) => {
      while (!written.includes(text)) {
        const [event] = await Promise.race([once(child.stdout as NonNullable<typeof child.stdout>, 'data'), once(child.stderr as NonNullable<typeof child.stderr>, 'data'), exit.then((): [string] => ['exit'])])
        if (event === 'exit' && !written.includes(text)) throw new Error(`ended without saying ${text}`)
      }
    },
  }
}

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
  const login = async (id: string): Promise<void> => {
    await notifier.publish(messageOutbound, { key: id, data: { message_id: id, claim_id: claimId, member_id: memberOf(member(1)), kind: 'login', wa_jid: jidOf(member(1)), language: 'id', parts: ['Rahasia dapur', '{password}'], sealed_password: await seal(password) } })
  }
  await login('one')
  await told(messageDelivered, 1)
  await whatsapp.say(member(1), 'SANDI tolong kak')
  await whatsapp.until('a new login', () => others.passwords.length > 0 && whatsapp.chat(member(1)).some(({ text }) => text === others.passwords[0]))
  // New keys on the member's side make libsignal close and open sessions, which it would print.
  for (let n = 0; n < 3; n++) {
    whatsapp.reinstall(member(1))
    await whatsapp.say(member(1), 'halo rahasia')
    whatsapp.turnKnobs({ unreadable: 1 })
    await login(`again-${n}`)
    await told(messageDelivered, n + 2)
  }
  whatsapp.join(outsider(1))
  await told(memberJoined, 1)
  whatsapp.leave(member(2))
  await told(memberLeft, 1)
  bot.child.kill('SIGTERM')
  t.equal(await bot.exit, 0, 'a bot stops when asked to')

  const output = bot.output()
  t.match(output, '"msg":"a message is settled"', 'it says what it does')
  const lids = whatsapp.people().map(({ lid }) => lid)
  const secrets: Array<[string, string[]]> = [
    ['number', [member(1), member(2), outsider(1), whatsapp.botNumber]], ['LID', lids], ['password', [password, ...others.passwords]],
    ['word of a chat', ['Rahasia dapur', 'tolong kak', 'halo rahasia', 'Nama pengguna']], ['key', ['SessionEntry', 'privKey', 'rootKey', 'Closing session', env['SESSION_KEY'] as string, env['INTERNAL_SECRET'] as string]],
  ]
  for (const [what, values] of secrets) t.notOk(values.some((value) => output.includes(value)), `but no ${what}`)
})

t.test('a bot that is killed', async (t) => {
  const here = await world(t)
  const { whatsapp, env, told, bus } = here
  const first = spawnBot(t, env)
  await first.saw('connected to WhatsApp')
  const second = spawnBot(t, env)
  await second.saw('another bot holds the session')
  const killedAt = performance.now()
  first.child.kill('SIGKILL')
  await second.saw('connected to WhatsApp')
  const tookMs = performance.now() - killedAt
  t.ok(tookMs < 5 * Number(env['LEASE_MS']), `is replaced ${Math.round(tookMs)} ms later, with a lease of ${env['LEASE_MS']} ms`)
  const notifier = await bus('notifier')
  await notifier.publish(messageOutbound, { key: 'x', data: { message_id: 'x', claim_id: claimId, member_id: memberOf(member(1)), kind: 'deleted', wa_jid: jidOf(member(1)), language: 'id', parts: ['Server dihapus'] } })
  await told(messageDelivered, 1)
  t.same(whatsapp.chat(member(1)).map(({ text }) => text), ['Server dihapus'], 'by one who can speak')
})

t.test('a bot that is killed after a message has gone out, before it knows', async (t) => {
  const here = await world(t)
  const { whatsapp, env, told, bus } = here
  await parties(here, [claimOf(member(1))])
  const first = spawnBot(t, env)
  await first.saw('connected to WhatsApp')
  whatsapp.turnKnobs({ ackDelayMs: 10_000 })
  const notifier = await bus('notifier')
  await notifier.publish(messageOutbound, { key: 'login', data: { message_id: 'login', claim_id: claimId, member_id: memberOf(member(1)), kind: 'login', wa_jid: jidOf(member(1)), language: 'id', parts: ['Server siap', '{password}'], sealed_password: await seal('the password') } })
  await whatsapp.until('the first part has arrived', () => whatsapp.chat(member(1)).length === 1)
  first.child.kill('SIGKILL')
  await first.exit
  whatsapp.turnKnobs({ ackDelayMs: 0 })
  const second = spawnBot(t, env)
  await second.saw('connected to WhatsApp')
  t.equal((await told(messageDelivered, 1)).length, 1)
  t.same(whatsapp.chat(member(1)).map(({ text }) => text), ['Server siap', 'the password'], 'is followed by one who says the rest, and nothing twice')
  await whatsapp.say(member(1), 'STATUS')
  await whatsapp.until('an answer', () => whatsapp.chat(member(1)).length === 4)
  t.match(whatsapp.chat(member(1)).at(-1)?.text, 'aktif', 'and who understands the member as before')
})
