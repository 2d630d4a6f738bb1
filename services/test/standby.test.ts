// Two bots: one holds the session of WhatsApp, the other stands by. Whichever dies, people claim and are told of their login.
import t from 'tap'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSystem } from '../../deploy/staging/system.ts'
import { actor, until } from './journey.ts'

const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-standby-')), doubled: ['bot'],
  env: { panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100' }, provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200' }, bot: { LEASE_MS: '3000', SEND_GAP_MS: '50' } },
})
t.teardown(() => system.close())

const BOTS = ['bot', 'bot-2'] as const
const holder = async (): Promise<typeof BOTS[number]> => await until('one bot is ready', async () => {
  const ready = await Promise.all(BOTS.map(async (name) => await fetch(`${system.healthUrl(name)}/readyz`).then(({ ok }) => ok, () => false)))
  return BOTS.find((_, at) => ready[at] === true)
})

/** A member gets a server and its login. */
async function claims (number: string): Promise<void> {
  const person = actor(system, number)
  await until('the claim is accepted', async () => (await person.claim()).status === 202 ? true : undefined)
  await until('the login arrives', async () => (await person.chat()).some(({ from, text }) => from === 'bot' && /^\S{32}$/.test(text)) ? true : undefined)
}

t.test('two bots', async (t) => {
  const first = await holder()
  await claims('6281200000001')
  await system.kill(first)
  const second = await holder()
  t.not(second, first, 'the other takes the session over')
  await claims('6281200000002')
  t.pass('and is asked who is in the group')

  // It stands by at first, and is not ready for as long.
  const back = system.start(first)
  await system.kill(second)
  await back
  t.equal(await holder(), first, 'and back')
  await claims('6281200000003')
})
