import t, { type Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SERVICES, startSystem, type ProcessName, type System } from '../../deploy/staging/system.ts'
import { actor, panelState, until, type Message } from './journey.ts'

// The whole way through real processes. A grace of seconds stands for one of hours.
const GRACE_MS = 8_000

const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-journey-')), graceMs: GRACE_MS, members: 12,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '600', PANEL_DOUBLE_START_DELAY_MS: '200' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000', RATE_LIMIT_JID_PER_MINUTE: '10000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200', LOST_CREATE_WAIT_MS: '4000' },
    reaper: { SWEEP_EVERY_MS: '1000', POSTPONE_MS: '1000', BRAKE_DEPARTURES_MIN: '50' },
    bot: { SEND_GAP_MS: '50', LEASE_MS: '1500', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
    all: { LOG_LEVEL: 'debug' },
  },
})
t.teardown(() => system.close())

const numberOf = (member: number): string => `62812${String(member).padStart(8, '0')}`
const fromBot = (chat: readonly Message[]): string[] => chat.filter(({ from }) => from === 'bot').map(({ text }) => text)
const PASSWORD = /^\S{32}$/

/** The member's way: claim, login, leave, warning, return, cancellation, leave, deletion. `disturb` is called after every deed and every sign of it. */
async function journey (t: Test, system: System, member: number, disturb: (after: string) => Promise<void>): Promise<void> {
  const person = actor(system, numberOf(member))
  const says = async (what: string, words: RegExp): Promise<string[]> => await until(what, async () => {
    const texts = fromBot(await person.chat())
    return texts.some((text) => words.test(text)) ? texts : undefined
  })
  const becomes = async (status: string): Promise<void> => { await until(`the claim is ${status}`, async () => (await person.progress(claimId)).status === status ? true : undefined) }

  // A visitor whose answer got lost presses again; the page then sends the same key.
  const key = randomUUID()
  const claimId = await until('the claim is accepted', async () => {
    const { status, body } = await person.claim({ 'idempotency-key': key })
    return status === 202 ? body.claim_id : undefined
  })
  await disturb('the claim')
  await becomes('active')
  await disturb('the server is ready')
  const login = await says('the login arrives', PASSWORD)
  const password = login.find((text) => PASSWORD.test(text)) ?? ''
  const username = /Nama pengguna: (\S+)/.exec(login.join('\n'))?.[1] ?? ''
  t.ok(await person.logsIn(username, password), 'the password in the chat opens the panel')
  const { servers, users } = await panelState(system)
  const mine = servers.filter((server) => server.externalId === claimId)
  t.same(mine.map(({ status, listens }) => ({ status, listens })), [{ status: null, listens: true }], 'one server is installed and answers')
  t.equal(users.filter((user) => user.externalId === `${numberOf(member)}@s.whatsapp.net`).length, 1, 'for one user')

  await person.leave()
  await disturb('the leave')
  await says('the warning arrives', /akan dihapus/)
  await becomes('deleting')
  await disturb('the warning')
  await person.join()
  await disturb('the return')
  await says('the cancellation arrives', /dibatalkan karena/)
  await becomes('active')
  await disturb('the cancellation')

  const left = Date.now()
  await person.leave()
  await disturb('the second leave')
  await until('the server is gone', async () => (await panelState(system)).servers.some((server) => server.externalId === claimId) ? undefined : true)
  t.ok(Date.now() - left >= GRACE_MS, 'the server stays for the whole grace')
  await disturb('the deletion')
  await says('the farewell arrives', /sudah dihapus/)
  await becomes('deleted')

  const texts = fromBot(await person.chat())
  const count = (words: RegExp): number => texts.filter((text) => words.test(text)).length
  t.same([count(PASSWORD), count(/siap!/), count(/akan dihapus/), count(/dibatalkan karena/), count(/sudah dihapus/)], [1, 1, 2, 1, 1], 'each message came once')
  const after = await panelState(system)
  t.equal(after.users.filter((user) => user.externalId === `${numberOf(member)}@s.whatsapp.net`).length, 0, 'the user is gone with the server')
}

/** How many servers the panel ever made. */
const serversMade = async (): Promise<number> => (await panelState(system)).requests['POST /servers']?.statuses['201'] ?? 0

t.test('a member claims, leaves, returns, and leaves for good', async (t) => {
  const before = await serversMade()
  await journey(t, system, 1, async () => {})
  t.equal(await serversMade() - before, 1, 'one server was ever made')
})

for (const [index, service] of SERVICES.entries()) {
  t.test(`the same with ${service} killed after every step`, async (t) => {
    const before = await serversMade()
    await journey(t, system, 2 + index, async () => {
      await system.kill(service as ProcessName)
      await system.start(service)
    })
    t.equal(await serversMade() - before, 1, 'one server was ever made')
  })
}

t.test('the same with nats-server killed after every step', async (t) => {
  const before = await serversMade()
  await journey(t, system, 2 + SERVICES.length, async () => {
    await system.nats.kill('SIGKILL')
    await system.nats.restart()
  })
  t.equal(await serversMade() - before, 1, 'one server was ever made')
})

t.test('afterwards nobody has left a dead letter', async (t) => {
  const { connect } = await import('@nats-io/transport-node')
  const { jetstreamManager } = await import('@nats-io/jetstream')
  const connection = await connect({ servers: system.nats.url })
  const { state } = await (await jetstreamManager(connection)).streams.info('DEAD_LETTERS')
  t.equal(state.messages, 0)
  await connection.close()
})
