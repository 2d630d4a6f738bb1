// The canary against the gateway, claim-store, reaper and notifier as they are, on a real NATS; panel and WhatsApp are played.
import t, { type Test } from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { claimRequested, deletionStarted } from '../../../contracts/events/claims.ts'
import { messageDelivered, messageOutbound, messageUndeliverable } from '../../../contracts/events/messages.ts'
import { operatorActed, type Acted } from '../../../contracts/events/operations.ts'
import { serverDeleted, serverFailed, serverReady } from '../../../contracts/events/servers.ts'
import { closeClaims, createClaim, deleteClaim, getClaim, openClaims, setBrake, type ClaimView } from '../../../contracts/requests.ts'
import { botMessages, provisionerClaims } from '../../../contracts/streams.ts'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { on, type Subscription } from '../../../services/common/consume.ts'
import { createLog } from '../../../services/common/log.ts'
import { createMetrics } from '../../../services/common/metrics.ts'
import { scratch } from '../../../services/common/test/scratch.ts'
import { start as startGateway } from '../../../services/gateway/main.ts'
import { SECRET, SERVER, timeline, until } from '../../../services/test/timeline.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const CANARY = '6281200000005'
const CANARY_JID = `${CANARY}@s.whatsapp.net`
const WORD = { by: 'on call', why: 'a test' }
interface Run { readonly result: string, readonly claim_id: string | null, readonly detail?: string | null, readonly held_back?: boolean }

/** How the panel takes claims, and WhatsApp logins. */
interface World { panel: 'up' | 'down' | 'failing', whatsapp: 'takes' | 'refuses' | 'down', isChatShown: boolean }

async function around (t: Test) {
  const { nats, busOf, reader, said, present, common, botUrl, deadLetters } = await timeline(t)
  const world: World = { panel: 'up', whatsapp: 'takes', isChatShown: true }
  /** What stands in the canary's chat, as the double of WhatsApp shows it. */
  const chat = [{ from: 'bot', text: 'x'.repeat(32) }]
  const [provisioner, bot] = [await busOf('provisioner'), await busOf('bot')]
  const waiting: Array<() => void> = []
  /** What waits for the panel goes on by itself when that is up again, as it does in the provisioner. */
  const panelIsUp = async (): Promise<void> => { if (world.panel === 'down') await new Promise<void>((go) => { waiting.push(go) }) }
  const set = (changed: Partial<World>): void => {
    Object.assign(world, changed)
    if (world.panel !== 'down') for (const go of waiting.splice(0)) go()
  }
  const played: Subscription[] = [
    provisioner.consume(provisionerClaims, [
      on(claimRequested, async ({ id, data: { claim_id, member_id } }) => {
        await panelIsUp()
        const about = { key: claim_id, causation: id, correlation: claim_id }
        if (world.panel === 'failing') await provisioner.publish(serverFailed, { ...about, data: { claim_id, member_id, code: 'NO_FREE_PORT', step: 'port' } })
        else await provisioner.publish(serverReady, { ...about, data: { claim_id, member_id, ...SERVER, username: 'klaim-canary' } })
      }),
      on(deletionStarted, async ({ id, data: { claim_id, member_id, delete_job_id } }) => { await provisioner.publish(serverDeleted, { key: delete_job_id, causation: id, correlation: claim_id, data: { claim_id, member_id, delete_job_id, user_deleted: true } }) }),
    ]),
    bot.consume(botMessages, [on(messageOutbound, async ({ id, data: { message_id, claim_id, member_id, kind } }) => {
      if (world.whatsapp === 'down' && kind === 'login') return
      const about = { key: message_id, causation: id, correlation: claim_id }
      if (world.isChatShown && kind === 'login') chat.push({ from: 'bot', text: 'p'.repeat(32) })
      if (world.whatsapp === 'refuses' && kind === 'login') await bot.publish(messageUndeliverable, { ...about, data: { message_id, claim_id, member_id, kind, code: 'WHATSAPP_RESTRICTED' } })
      else await bot.publish(messageDelivered, { ...about, data: { message_id, claim_id, member_id, kind } })
    })]),
  ]
  t.teardown(async () => {
    set({ panel: 'up' })
    await Promise.all(played.map(async (each) => { await each.stop() }))
  })
  present.add(CANARY_JID)
  const port = await freePort()
  const gateway = await startGateway({
    ...common, ...nats.env('gateway'), HTTP_HOST: '127.0.0.1', HTTP_PORT: port, HTTP_SOCKETS_MAX: 100, BOT_URL: botUrl, INTERNAL_SECRET: SECRET, TEMPLATES_FILE: join(ROOT, 'config/templates.json'), MESSAGES_DIR: join(ROOT, 'config/messages'),
    WEB_DIR: join(ROOT, 'services/web/none'), RATE_LIMIT_IP_PER_MINUTE: 10_000, RATE_LIMIT_JID_PER_MINUTE: 10_000, RATE_LIMIT_STATUS_PER_MINUTE: 100_000,
  }, { log: createLog('gateway', 'info', () => {}), metrics: createMetrics('gateway'), now: () => new Date() })
  t.teardown(async () => { await gateway.stop() })

  const phone = createServer((request, response) => { response.writeHead(request.url === `/people/${CANARY}` ? 200 : 404).end(JSON.stringify({ chat })) }).listen(0, '127.0.0.1')
  await once(phone, 'listening')
  t.teardown(() => { phone.closeAllConnections(); phone.close() })
  const phoneUrl = `http://127.0.0.1:${(phone.address() as AddressInfo).port}`

  const numberFile = join(scratch(t), 'canary_number')
  writeFileSync(numberFile, CANARY, { mode: 0o600 })
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...nats.env('operator'), GATEWAY_URL: `http://127.0.0.1:${port}`, CANARY_NUMBER_FILE: numberFile, CANARY_PATIENCE_MS: '15000' }
  const heard: string[] = []
  const launch = (args: readonly string[], changed: Record<string, string> = {}) => spawn(process.execPath, [join(ROOT, 'scripts/klaim.ts'), 'canary', ...args], { env: { ...env, ...changed }, stdio: ['ignore', 'pipe', 'pipe'] })
  async function canary (changed: Record<string, string> = {}): Promise<Run & { exit: number | null }> {
    const child = launch(['--json'], changed)
    const [[code], out, complained] = await Promise.all([once(child, 'close') as Promise<[number | null]>, text(child.stdout), text(child.stderr)])
    heard.push(out, complained)
    if (out === '') throw new Error(`it said nothing, and ended with ${code}: ${complained}`)
    return { exit: code, ...JSON.parse(out) as Run }
  }
  const newest = async (): Promise<ClaimView | undefined> => {
    const answer = await reader.request(getClaim, { wa_jid: CANARY_JID })
    return answer.ok ? answer.claim : undefined
  }
  const is = async (status: string): Promise<ClaimView> => await until(`the canary's claim is ${status}`, async () => {
    const claim = await newest()
    return claim?.status === status ? claim : undefined
  })
  const statusOf = async (claimId: string | null): Promise<string | undefined> => {
    const answer = await reader.request(getClaim, { claim_id: claimId ?? '' })
    return answer.ok ? answer.claim.status : undefined
  }
  return { canary, launch, set, newest, is, statusOf, said, reader, heard, present, deadLetters, busOf, phoneUrl }
}

t.test('the canary', async (t) => {
  const { canary, launch, set, newest, is, statusOf, said, reader, heard, present, deadLetters, busOf, phoneUrl } = await around(t)

  await t.test('comes through', async (t) => {
    const run = await canary()
    t.match(run, { exit: 0, result: 'ok', claim_id: /^[0-9a-f-]{36}$/, login_s: Number, gone_s: Number, at: String })
    t.equal(await statusOf(run.claim_id), 'deleted', 'and leaves nothing')
    const words = (await said(operatorActed('claim-store'))).map(({ data }) => data as Acted)
    t.match(words, [{ operation: 'delete', by: 'canary', detail: 'even if present' }, { operation: 'delete', by: 'canary', outcome: 'done' }], 'its deletion was asked for like any other')
  })

  await t.test('finds a panel that is down', async (t) => {
    set({ panel: 'down' })
    const run = await canary({ CANARY_PATIENCE_MS: '2000' })
    t.match(run, { exit: 1, result: 'CANARY_NOT_ACTIVE', runbook: 'RUNBOOK.md#code-canary-not-active' })
    t.match(await newest(), { status: 'creating', deletion_even_if_present: true }, 'and has what it began deleted')
    t.match(await canary({ CANARY_PATIENCE_MS: '1000' }), { exit: 1, result: 'CANARY_LEFTOVER', claim_id: null }, 'before which it begins nothing new')
    set({ panel: 'up' })
    const next = await canary()
    t.match(next, { exit: 0, result: 'ok' }, 'and comes through when the panel is back')
    t.not(next.claim_id, run.claim_id)
    t.equal(await statusOf(run.claim_id), 'deleted')
  })

  await t.test('finds a claim that fails', async (t) => {
    set({ panel: 'failing' })
    t.match(await canary(), { exit: 1, result: 'CANARY_CLAIM_FAILED', detail: 'NO_FREE_PORT' })
    set({ panel: 'up' })
    t.match(await canary(), { exit: 0 }, 'which leaves nothing to wait for')
  })

  await t.test('finds a login that does not arrive', async (t) => {
    set({ whatsapp: 'refuses' })
    t.match(await canary(), { exit: 1, result: 'CANARY_LOGIN_UNDELIVERABLE', detail: 'WHATSAPP_RESTRICTED' })
    await is('deleted')
    set({ whatsapp: 'down' })
    t.match(await canary({ CANARY_PATIENCE_MS: '2000' }), { exit: 1, result: 'CANARY_LOGIN_MISSING' })
    await is('deleted')
    set({ whatsapp: 'takes' })
  })

  await t.test('where its chat can be read', async (t) => {
    t.match(await canary({ CANARY_WHATSAPP_URL: phoneUrl }), { exit: 0, result: 'ok' }, 'looks for a login that was not there before')
    set({ isChatShown: false })
    t.match(await canary({ CANARY_WHATSAPP_URL: phoneUrl, CANARY_PATIENCE_MS: '2000' }), { exit: 1, result: 'CANARY_LOGIN_MISSING' }, "whatever the bot's word is")
    set({ isChatShown: true })
    await is('deleted')
  })

  await t.test('killed half-way', async (t) => {
    set({ panel: 'down' })
    const child = launch([])
    const ended = once(child, 'exit')
    const { claim_id: left } = await is('creating')
    child.kill('SIGKILL')
    await ended
    t.notMatch(await newest(), { deletion_even_if_present: true }, 'it had no time to clear up')
    set({ panel: 'up' })
    await is('active')
    const run = await canary()
    t.match(run, { exit: 0, result: 'ok' })
    t.not(run.claim_id, left)
    t.equal(await statusOf(left), 'deleted', 'clears up at its next run')
  })

  await t.test('a claim under its number that it did not make', async (t) => {
    const gateway = await busOf('gateway')
    set({ panel: 'down' })
    const claim_id = '11111111-1111-4111-8111-111111111111'
    t.match(await gateway.request(createClaim, { claim_id, wa_jid: CANARY_JID, username: 'somebody', template: 'nodejs', template_version: 1, language: 'id' }), { ok: true })
    const before = (await said(operatorActed('claim-store'))).length
    t.match(await canary(), { exit: 1, result: 'CANARY_NUMBER_TAKEN', claim_id: null }, 'is not touched')
    t.match(await newest(), { claim_id, status: 'creating', deletion_scheduled_at: null })
    t.equal((await said(operatorActed('claim-store'))).length, before, 'nor anything asked about it')
    await reader.request(deleteClaim, { claim_id, even_if_present: true, ...WORD })
    set({ panel: 'up' })
    await is('deleted')
  })

  await t.test('held back on purpose', async (t) => {
    await reader.request(closeClaims, WORD)
    t.match(await canary(), { exit: 1, result: 'CLAIMS_CLOSED', held_back: true })
    await reader.request(openClaims, WORD)
    await reader.request(setBrake, { tripped: true, ...WORD })
    const before = (await newest())?.claim_id
    t.match(await canary(), { exit: 1, result: 'BRAKE_ON', claim_id: null, held_back: true })
    t.equal((await newest())?.claim_id, before, 'no server is made that could not be deleted')
    await reader.request(setBrake, { tripped: false, ...WORD })
  })

  await t.test('after fifty claims', async (t) => {
    const gateway = await busOf('gateway')
    set({ panel: 'failing' })
    for (let claims = 0; claims < 50; claims++) {
      await gateway.request(createClaim, { claim_id: randomUUID(), wa_jid: CANARY_JID, username: 'klaim-canary', template: 'nodejs', template_version: 1, language: 'id' })
      await is('failed')
    }
    set({ panel: 'up' })
    t.match(await canary(), { exit: 0, result: 'ok' })
    await until('its claims are gone', async () => await newest() === undefined || undefined)
    t.match(await canary(), { exit: 0, result: 'ok' }, 'it is forgotten, and goes on')
  })

  await t.test('refused, or not answered', async (t) => {
    present.delete(CANARY_JID)
    t.match(await canary(), { exit: 1, result: 'CANARY_REFUSED', detail: 'NOT_MEMBER' })
    present.add(CANARY_JID)
    t.match(await canary({ NATS_URL: 'nats://127.0.0.1:1' }), { exit: 69, result: 'NATS_UNAVAILABLE' })
  })

  await t.test('again and again', async (t) => {
    const port = await freePort()
    const child = launch(['--every', '5s', '--json'], { HEALTH_PORT: String(port) })
    const ended = once(child, 'exit')
    t.teardown(async () => { child.kill('SIGKILL'); await ended })
    const runs: Run[] = []
    createInterface({ input: child.stdout }).on('line', (line) => {
      runs.push(JSON.parse(line) as Run)
      heard.push(line)
    })
    await until('two runs have come through', () => runs.filter(({ result }) => result === 'ok').length >= 2 || undefined)
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    heard.push(metrics)
    const value = (series: string): number => Number(metrics.split('\n').find((line) => line.startsWith(`${series} `))?.split(' ').at(-1))
    t.ok(value('klaim_canary_runs_total{result="ok"}') >= 2)
    t.equal(value('klaim_canary_runs_total{result="CANARY_NOT_ACTIVE"}'), 0, 'what has not happened stands at 0')
    t.ok(Math.abs(Date.now() / 1_000 - value('klaim_canary_last_success_timestamp_seconds')) < 60)
    t.equal(value('klaim_canary_every_seconds'), 5)
    t.ok(value('klaim_canary_claim_seconds_bucket{le="120"}') >= 2 && value('klaim_canary_claim_seconds_bucket{le="180"}') >= 2, 'two and three minutes are among its buckets')
    t.ok(value('process_start_time_seconds') > 0)

    // It is told to end in the middle of a run.
    set({ panel: 'down' })
    const { claim_id: begun } = await is('creating')
    child.kill('SIGTERM')
    t.same(await ended, [0, null], 'ends when it is told to')
    t.match(await newest(), { claim_id: begun, deletion_even_if_present: true }, 'and has what it began deleted')
    set({ panel: 'up' })
    await is('deleted')
  })

  await t.test("says nobody's number, and leaves no dead letter", async (t) => {
    t.ok(heard.length > 20)
    t.same(heard.filter((said) => said.includes(CANARY.slice(2)) || /@s\.whatsapp/.test(said)), [])
    t.equal(await deadLetters(), 0)
  })
})
