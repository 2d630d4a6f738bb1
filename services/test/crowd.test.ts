import t, { type Test } from 'tap'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env, pid } from 'node:process'
import { startSystem, type System, type SystemOptions } from '../../deploy/staging/system.ts'
import { NEWCOMERS_MAX } from '../provisioner/installs.ts'
import { callsOf, chats, loginsIn, numberOf, quantile, settled, stored, waJidOf } from './crowd.ts'
import { actor, panelState, until } from './journey.ts'

// Many people at once, through real processes. The double of the panel is as a new installation is: 240 requests a minute, 8 workers.
const DOORS = 2
const CLAIMS_OF_ONE = 100
const CROWD = 50
const CALLS_PER_CLAIM_MAX = 2
/** The installs are asked about every 3 s and for every five who newly wait for theirs, each of the two nodes is read once a minute. */
const sharedCallsMax = (ms: number): number => Math.ceil(ms / 3_000) + Math.ceil(CROWD / NEWCOMERS_MAX) + 2 * Math.ceil(ms / 60_000) + 2
const ACTIVE_P95_S_MAX = 120
/** A person looks again this often. */
const LOOK_EVERY_MS = 500

/** The pace of sending is WhatsApp's matter and takes minutes for a crowd: a run by hand may ask for it. */
const SEND_GAP_MS = env['SEND_GAP_MS'] ?? '0'

async function systemOf (t: Test, options: Omit<SystemOptions, 'directory' | 'env'>, gateway: Record<string, string>): Promise<System> {
  const system = await startSystem({
    ...options, directory: mkdtempSync(join(tmpdir(), 'klaim-crowd-')),
    env: {
      // Addresses of this process alone for the members' servers, so that systems beside this one do not hold their ports.
      panel: { PANEL_DOUBLE_ALLOCATION_IP: `127.${32 + (pid >> 16 & 31)}.${pid >> 8 & 255}.${Math.max(1, pid & 255)}` },
      bot: { SEND_GAP_MS }, gateway,
    },
  })
  t.teardown(async () => { await system.close() })
  return system
}

t.test('a hundred claims for one number at once, through two gateways and two claim-stores', async (t) => {
  const system = await systemOf(t, { members: 2, doubled: ['gateway', 'claim-store'] }, { RATE_LIMIT_IP_PER_MINUTE: '10000', RATE_LIMIT_JID_PER_MINUTE: '10000' })
  t.equal(new Set(system.gatewayUrls).size, DOORS, 'there are two ways in')
  const person = actor(system, numberOf(1))

  const answers = await Promise.all(Array.from({ length: CLAIMS_OF_ONE }, async (_, n) => await person.claim({}, system.gatewayUrls[n % DOORS])))
  const accepted = answers.filter(({ status }) => status === 202)
  const refused = answers.filter(({ status, body }) => status === 409 && body.error?.code === 'ALREADY_CLAIMED')
  if (!t.same([accepted.length, refused.length], [1, CLAIMS_OF_ONE - 1], 'one is accepted, and every other is told why not')) return
  const claimId = accepted[0]?.body.claim_id ?? ''
  t.same(new Set(refused.map(({ body }) => body.error?.claim_id)), new Set([claimId]), 'and which claim it already has')

  await until('the claim is active', async () => (await person.progress(claimId)).status === 'active' ? true : undefined)
  await until('the login arrives', async () => loginsIn(await person.chat())[0])
  await settled(system)
  const { requests, servers, users } = await panelState(system)
  t.equal(requests['POST /servers']?.total, 1, 'the panel was asked for one server')
  t.same(servers.map(({ externalId, listens }) => ({ externalId, listens })), [{ externalId: claimId, listens: true }], 'and made one')
  t.equal(users.filter(({ externalId }) => externalId === waJidOf(1)).length, 1, 'for one user')
  t.equal(await stored(system, 'CLAIMS', 'claims.*.requested'), 1, 'the ledger holds one claim')
  t.equal(loginsIn(await person.chat()).length, 1, 'one login came')
  t.equal(await stored(system, 'DEAD_LETTERS'), 0, 'nothing is left unhandled')
})

t.test('fifty members claim at once, from fifty addresses behind a proxy', async (t) => {
  // The limits are the default ones: without trust in the proxy all would be one address, and thirty of them sent away.
  const system = await systemOf(t, { members: CROWD }, { TRUST_PROXY: '127.0.0.1/32' })
  const began = Date.now()

  const claims = await Promise.all(Array.from({ length: CROWD }, async (_, n) => {
    const member = n + 1
    const from = { 'x-forwarded-for': `198.51.100.${member}` }
    const { status, body } = await actor(system, numberOf(member)).claim(from)
    return { member, from, status, claimId: body.claim_id, answeredMs: Date.now() - began }
  }))
  if (!t.same(claims.filter(({ status }) => status !== 202), [], 'every claim is accepted')) return

  const activeMs = await Promise.all(claims.map(async ({ member, from, claimId }) => await until(`the claim of member ${member} is active`, async () => {
    const { status, updated_at } = await actor(system, numberOf(member)).progress(claimId, from)
    if (status === 'failed') t.fail(`the claim of member ${member} failed`)
    return status === 'creating' ? undefined : status === 'active' ? Date.parse(updated_at) - began : NaN
  }, { everyMs: LOOK_EVERY_MS, waitMs: ACTIVE_P95_S_MAX * 2_000 })))
  const { requests, tooManyRequests } = await panelState(system)
  const tookMs = Date.now() - began

  const logins = await until('a login is in every chat', async () => {
    const all = [...(await chats(system)).entries()].map(([number, chat]) => ({ number, logins: loginsIn(chat) }))
    return all.filter(({ logins }) => logins.length > 0).length === CROWD ? all : undefined
  }, { everyMs: LOOK_EVERY_MS, waitMs: 300_000 })
  const loginMs = logins.map(({ logins }) => (logins[0]?.at ?? NaN) - began)
  const seconds = (values: readonly number[]): string => [0.5, 0.95, 1].map((share) => (quantile(values, share) / 1_000).toFixed(1)).join(' / ')
  const calls = callsOf(requests)
  t.comment(`form to 202, p50/p95/max: ${seconds(claims.map(({ answeredMs }) => answeredMs))} s`)
  t.comment(`form to active, p50/p95/max: ${seconds(activeMs)} s`)
  t.comment(`form to login, p50/p95/max: ${seconds(loginMs)} s, with ${SEND_GAP_MS} ms between messages`)
  t.comment(`panel calls per claim: ${calls.own / CROWD}, with what is shared ${calls.all / CROWD}; answers 429: ${tooManyRequests} (${calls.text})`)

  t.ok(quantile(activeMs, 0.95) < ACTIVE_P95_S_MAX * 1_000, 'they become active in the time that is promised')
  t.ok(calls.own / CROWD <= CALLS_PER_CLAIM_MAX, 'a claim costs the panel two calls')
  t.ok(calls.all - calls.own <= sharedCallsMax(tookMs), 'and waiting costs it the same for one as for fifty')
  t.equal(tooManyRequests, 0, 'the panel never had to send us away')

  await settled(system)
  const { servers, users, orphans } = await panelState(system)
  const claimIds = claims.map(({ claimId }) => claimId).toSorted()
  t.same(servers.map(({ externalId }) => String(externalId)).toSorted(), claimIds, 'each claim has one server')
  t.ok(servers.every(({ status, listens }) => status === null && listens), 'which is installed and answers')
  t.equal(new Set(servers.map(({ address }) => address)).size, CROWD, 'on a port of its own')
  t.same(users.flatMap(({ externalId }) => externalId ?? []).toSorted(), claims.map(({ member }) => waJidOf(member)).toSorted(), 'each member has one user')
  t.same(orphans, [], 'nothing else runs on the nodes')

  const inChats = [...(await chats(system)).values()].map(loginsIn)
  t.same(inChats.map(({ length }) => length), Array.from({ length: CROWD }, () => 1), 'one login is in each chat')
  const isAccepted = await Promise.all(inChats.flat().map(async ({ username, password }) => await actor(system, numberOf(1)).logsIn(username, password)))
  t.equal(isAccepted.filter(Boolean).length, CROWD, 'and opens the panel')
  t.equal(await stored(system, 'DEAD_LETTERS'), 0, 'nothing is left unhandled')
})
