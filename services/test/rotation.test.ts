import t from 'tap'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHmac, randomUUID } from 'node:crypto'
import { connect, nkeyAuthenticator } from '@nats-io/transport-node'
import { CHECK_MEMBER_PATH } from '../../contracts/http.ts'
import { usersText } from '../../deploy/nats/config.ts'
import { openDirectory } from '../../deploy/secrets/directory.ts'
import { natsKeys } from '../../deploy/secrets/nats-keys.ts'
import { seedFileOf } from '../../deploy/secrets/nats-seed.ts'
import { newPanelKey } from '../../deploy/staging/secrets.ts'
import { SERVICES, startSystem, type ProcessName } from '../../deploy/staging/system.ts'
import { createCipher } from '../bot/session-cipher.ts'
import { chats, loginsIn, numberOf, stored, withStreams } from './crowd.ts'
import { actor, panelState, until } from './journey.ts'
import { carryOut, procedure, type Step } from './procedures.ts'
import { startTraffic } from './traffic.ts'

// Every rotation of the runbook, carried out on a running system by the runbook's own commands, while people claim and an outside bot tells of
// movements. Gateways and claim-stores run twice, as they would where no visitor is to notice a restart.
const MEMBERS = 150
const DOUBLED = ['gateway', 'claim-store'] as const
const STRANGER = '6281299990001'
const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-rotation-')), graceMs: 600_000, members: MEMBERS, doubled: DOUBLED,
  env: {
    panel: { PANEL_DOUBLE_PORTS_PER_NODE: '150', PANEL_DOUBLE_INSTALL_DELAY_MS: '600', PANEL_DOUBLE_START_DELAY_MS: '200', PANEL_DOUBLE_RATE_LIMIT: '100000' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000', RATE_LIMIT_JID_PER_MINUTE: '10000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200', LOST_CREATE_WAIT_MS: '4000' },
    bot: { SEND_GAP_MS: '20', LEASE_MS: '1500', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
  },
})
t.teardown(() => system.close())

const secret = (file: string): string => readFileSync(join(system.secretsDirectory, file), 'utf8')
let isBotAway = false
const traffic = startTraffic(system, { webhookSecret: secret('webhook_secrets'), numberOf, first: 1, last: MEMBERS - 5, stranger: STRANGER, isBotAway: () => isBotAway })

/** One after another: of a service that runs twice one always serves. */
async function restart (service: string): Promise<void> {
  isBotAway = service === 'bot'
  for (const name of [service, ...((DOUBLED as readonly string[]).includes(service) ? [`${service}-2`] : [])] as ProcessName[]) {
    await system.kill(name, 'SIGTERM')
    await system.start(name)
  }
  isBotAway = false
}

async function follow (step: Step, input?: string): Promise<void> {
  const output = await carryOut(step.command ?? '', system.secretsDirectory, input === undefined ? {} : { input })
  const said = /Restart now: (.*)/.exec(output)?.[1]?.split(', ') ?? []
  t.same(said, step.restarts, `${step.command} and the runbook name the same restarts`)
  for (const service of step.restarts) await restart(service)
}

/** Follows a procedure; `meanwhile` does what a person does elsewhere. */
async function rotate (title: string, meanwhile: (step: Step) => Promise<void> = async () => {}): Promise<void> {
  const steps = procedure(title)
  if (steps.length < 2) throw new Error(`RUNBOOK.md has no steps for: ${title}`)
  for (const step of steps) await (step.command === undefined ? meanwhile(step) : follow(step))
}

t.test('the internal secret', async (t) => {
  const old = secret('internal_secret')
  await rotate('Rotate the internal secret.')
  const ask = async (given: string): Promise<number> => (await fetch(`${system.botUrl}${CHECK_MEMBER_PATH}`, {
    method: 'POST', headers: { 'content-type': 'application/json', 'x-internal-secret': given }, body: JSON.stringify({ wa_jid: `${numberOf(1)}@s.whatsapp.net` }),
  })).status
  t.equal(await ask(old), 401, 'the old one is refused')
  t.equal(await ask(secret('internal_secret')), 200)
  t.not(secret('internal_secret'), old)
})

t.test("the alerts' secret", async (t) => {
  const old = secret('alerts_secret')
  // As Alertmanager does it: the whole file, as it is at that moment.
  const tell = async (given: string): Promise<number> => (await fetch(`${system.botUrl}/internal/alerts`, {
    method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${given}` }, body: JSON.stringify({ version: '4', alerts: [] }),
  })).status
  const statuses = [await tell(old)]
  for (const step of procedure("Rotate the alerts' secret.")) {
    await follow(step)
    statuses.push(await tell(secret('alerts_secret')))
  }
  t.same(statuses, [200, 200, 200, 200], 'lets Alertmanager in after every step')
  t.equal(await tell(old), 401, 'the old one is refused')
})

t.test("the webhook's secret", async (t) => {
  const old = secret('webhook_secrets')
  await rotate("Rotate the webhook's secret.", async () => { traffic.sign(secret('webhook_secrets.next')) })
  const body = JSON.stringify({ event: 'join', wa_jid: `${STRANGER}@s.whatsapp.net`, group_id: system.group, occurred_at: new Date().toISOString(), nonce: randomUUID() })
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const signed = (key: string) => ({ 'content-type': 'application/json', 'x-timestamp': timestamp, 'x-signature': createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex') })
  for (const url of system.gatewayUrls) t.equal((await fetch(`${url}/api/whatsapp-webhook`, { method: 'POST', headers: signed(old), body })).status, 401, 'the old one is refused')
})

t.test('the login key', async (t) => {
  const kid = (text: string): unknown => (JSON.parse(text) as { kid: string }).kid
  const old = kid(secret('login_public_key'))
  await rotate('Rotate the login key.', async () => { await delivered() })
  t.notMatch(secret('login_private_keys'), String(old), 'the bot has no key for what was sealed before')
  t.not(kid(secret('login_public_key')), old)
})

t.test('the session key', async (t) => {
  const old = createCipher(secret('session_key'))
  await rotate('Rotate the session key.', async () => { await until('the bot is ready', async () => (await fetch(`${system.healthUrl('bot')}/readyz`)).ok || undefined) })
  const next = createCipher(secret('session_key'))
  const entries = await sessionEntries()
  t.ok(entries.length > 20, 'there is a session')
  t.same(entries.filter(([name, value]) => next.open(name, value) === ''), [], 'all of it opens with the new one')
  t.same(entries.filter(([name, value]) => opens(old, name, value)), [], 'and nothing with the old one')
})

t.test("the panel's key", async (t) => {
  const act = async (action: string, key: string): Promise<void> => { await fetch(`${system.panelUrl}/__double/${action}`, { method: 'POST', body: JSON.stringify({ key }) }) }
  const statusWith = async (key: string): Promise<number> => (await fetch(`${system.panelUrl}/api/application/users`, { headers: { authorization: `Bearer ${key}`, accept: 'application/json' } })).status
  const [, put] = procedure("Replace the panel's key.")
  const steps = procedure("Replace the panel's key.").map(({ text }) => text.slice(0, 24))
  t.match(steps, [/^On the panel: make/, /^`scripts\/secrets put/, /^On the panel: delete/])
  if (!put) return
  const [old, second, third] = [secret('panel_key'), newPanelKey(), newPanelKey()]
  await act('add-key', second)
  await follow(put, second)
  await act('remove-key', old)
  t.equal(await statusWith(old), 401, 'the old one is refused')

  // After a leak the other way round: claims wait, and none fails.
  await act('remove-key', second)
  const waiting = await panelState(system)
  await until('the provisioner says that its key is refused', async () => (await (await fetch(`${system.healthUrl('provisioner')}/readyz`)).text()).includes('PANEL_KEY_REFUSED') || undefined)
  await act('add-key', third)
  await follow(put, third)
  await until('claims go on', async () => (await panelState(system)).servers.length > waiting.servers.length || undefined)
})

t.test("services' keys on NATS", async (t) => {
  const directory = openDirectory(system.secretsDirectory)
  const steps = procedure("Rotate a service's key on NATS.")
  t.equal(steps.length, 5)
  for (const service of SERVICES) {
    const old = secret(seedFileOf(service))
    for (const step of steps) {
      const own = (text: string): string => text.replace('nats-bot', `nats-${service}`)
      if (step.command?.includes('nats-users')) {
        t.equal(await carryOut(step.command, system.secretsDirectory), usersText(natsKeys(directory)))
        await system.nats.reload(natsKeys(directory))
      } else await follow({ ...step, command: own(step.command ?? ''), restarts: step.restarts.map((name) => name.replace('bot', service)) })
    }
    await until('the old one is refused', async () => await connectOnce(old) === 'refused' || undefined)
    t.equal(await connectOnce(secret(seedFileOf(service))), 'let in', service)
  }
})

t.test('the key of the ledger', async (t) => {
  const old = secret('ledger_keys')
  await rotate('Rotate the key of the ledger.')
  t.match(secret('ledger_keys').split(','), [/^[0-9a-f]{64}$/, old], 'the new one signs, and what the old one signed is believed')
})

t.test('meanwhile', async (t) => {
  const { claims, notices, refusals, longestWaitMs } = await traffic.stop()
  t.same(refusals, [], 'nobody was refused')
  t.ok(claims.length >= 15 && notices >= 80, `${claims.length} claims, ${notices} notices`)
  t.comment(`somebody was told to try again for ${longestWaitMs} ms at most`)
  await delivered()
  const progress = await Promise.all(claims.map(async ({ number, claimId }) => (await actor(system, number).progress(claimId)).status))
  t.same(progress.filter((status) => status !== 'active'), [], 'no claim failed')
  const said = await chats(system)
  const logins = claims.map(({ number }) => loginsIn(said.get(number) ?? []))
  t.same(logins.filter((found) => found.length !== 1).length, 0, 'each login arrived once')
  const doors = await Promise.all(claims.map(async ({ number }, n) => await actor(system, number).logsIn(logins[n]?.[0]?.username ?? '', logins[n]?.[0]?.password ?? '')))
  t.same(doors.filter((opens) => !opens), [], 'and opens the panel')
  t.equal(await stored(system, 'MEMBERS', 'members.*.joined'), notices, 'no notice was lost')
  t.equal(await stored(system, 'MESSAGES', 'messages.undeliverable.*'), 0)
  t.equal(await stored(system, 'DEAD_LETTERS'), 0)
  const [last] = claims.slice(-1)
  if (!last) return
  await actor(system, last.number).write('SANDI')
  const fresh = await until('SANDI is answered', async () => loginsIn((await chats(system)).get(last.number) ?? [])[1])
  t.ok(await actor(system, last.number).logsIn(fresh.username, fresh.password), 'a new password is sealed and opened with the new key')
})

async function connectOnce (seed: string): Promise<'let in' | 'refused'> {
  try {
    const connection = await connect({ servers: system.nats.url, reconnect: false, authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) })
    await connection.close()
    return 'let in'
  } catch {
    return 'refused'
  }
}

/** Nothing is being made or told any more but by claims that came later. */
async function delivered (): Promise<void> {
  const before = await stored(system, 'CLAIMS', 'claims.*.requested')
  await until('what was claimed is made and told', async () => await stored(system, 'MESSAGES', 'messages.delivered.*') >= before || undefined)
}

async function sessionEntries (): Promise<Array<[string, Uint8Array]>> {
  return await withStreams(system, async (jsm) => {
    const stream = 'KV_whatsapp_session'
    const { state } = await jsm.streams.info(stream, { subjects_filter: '>' })
    const found = await Promise.all(Object.keys(state.subjects ?? {}).map(async (subject) => [subject.replace('$KV.whatsapp_session.', ''), await jsm.direct.getMessage(stream, { last_by_subj: subject })] as const))
    return found.flatMap(([name, message]) => message && !message.header.get('KV-Operation') ? [[name, message.data] as [string, Uint8Array]] : [])
  })
}

function opens (cipher: ReturnType<typeof createCipher>, name: string, value: Uint8Array): boolean {
  try {
    cipher.open(name, value)
    return true
  } catch {
    return false
  }
}
