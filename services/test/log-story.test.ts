import t from 'tap'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SERVICES, startSystem } from '../../deploy/staging/system.ts'
import { scratch } from '../common/test/scratch.ts'
import { actor, journey, until } from './journey.ts'

interface Line { readonly level: string, readonly time: string, readonly service: string, readonly msg: string, readonly event?: string, readonly decision?: string, readonly claim_id?: string, readonly member_id?: string, readonly code?: string, readonly step?: string, readonly kind?: string, readonly duration_ms?: number }

const GRACE_MS = 20_000
/** A publisher may be held up between the acknowledgement and its line, while whoever hears of it goes on. */
const LATE_MS_MAX = 500

const system = await startSystem({
  directory: scratch(t), graceMs: GRACE_MS, members: 4, outsiders: 1,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '600', PANEL_DOUBLE_START_DELAY_MS: '200' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200', DRIFT_EVERY_MS: '500' },
    bot: { SEND_GAP_MS: '50', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
  },
})
t.teardown(async () => { await system.close() })

/** The QR code, for the person who links the bot, goes to standard error and not to the log. */
// eslint-disable-next-line no-control-regex -- the drawing is made of them
const DRAWN = /^[\u001B[\d;m \u2580-\u259F]*$/
const written = (): string[] => readdirSync(system.logDirectory).filter((name) => SERVICES.some((service) => name === `${service}.log`))
  .flatMap((name) => readFileSync(join(system.logDirectory, name), 'utf8').split('\n').filter((line) => !DRAWN.test(line)))
const lines = (): Line[] => written().map((line) => JSON.parse(line) as Line)
const isDecision = ({ event, decision }: Line): boolean => event !== undefined || decision !== undefined
const named = ({ event, decision, step, kind, code }: Line): string => [event ?? decision, step, kind, code].filter(Boolean).join(' ')

/** Cause before effect, from the claim to the farewell. */
const STORY: ReadonlyArray<readonly [string, string]> = [
  ['claim-store', 'claim.requested'],
  ...['queued', 'account', 'port', 'create', 'install', 'probe'].map((step) => ['provisioner', `server.progressed ${step}`] as const),
  ['provisioner', 'server.ready'], ['claim-store', 'claim.activated'], ['notifier', 'message.outbound login'], ['bot', 'message.delivered login'],
  ['claim-store', 'claim.deletion_scheduled'], ['notifier', 'message.outbound leave_warning'], ['bot', 'message.delivered leave_warning'],
  ['claim-store', 'claim.deletion_cancelled'], ['reaper', 'deletion.unscheduled'], ['notifier', 'message.outbound deletion_cancelled'], ['bot', 'message.delivered deletion_cancelled'],
  ['claim-store', 'claim.deletion_scheduled'], ['notifier', 'message.outbound leave_warning'], ['bot', 'message.delivered leave_warning'],
  ['reaper', 'deletion.confirmed'], ['claim-store', 'claim.deletion_started'], ['provisioner', 'server.deleted'], ['claim-store', 'claim.deleted'],
  ['notifier', 'message.outbound deleted'], ['bot', 'message.delivered deleted'],
]

t.test("a claim's life", async (t) => {
  const claimId = await journey(t, system, 1, async () => {})
  const about = await until('the farewell is told', async () => {
    const found = lines().filter(({ claim_id }) => claim_id === claimId)
    return found.filter(isDecision).length >= STORY.length ? found : undefined
  })
  const story = about.filter(isDecision)
  for (const service of SERVICES) {
    t.same(story.filter((line) => line.service === service).map(named), STORY.filter(([who]) => who === service).map(([, what]) => what), `is told once and in order by ${service}`)
  }
  let rest = [...story]
  const inOrder = STORY.map(([service, what]) => {
    const found = rest.find((line) => line.service === service && named(line) === what)
    rest = rest.filter((line) => line !== found)
    return Date.parse(found?.time ?? '')
  })
  t.same(inOrder.filter((at, n) => !inOrder.slice(0, n).every((before) => before <= at + LATE_MS_MAX)), [], 'cause before effect, over all services')

  const members = new Set(story.map(({ member_id }) => member_id))
  t.match([...members], [/^[a-z2-7]{20}$/], 'of one member, by pseudonym')
  t.equal(members.size, 1)
  t.same(about.filter(({ level }) => level !== 'info').map(({ msg }) => msg), [], 'nothing needs a person')
  t.ok(['server.ready', 'claim.activated', 'server.deleted'].every((event) => story.some((line) => line.event === event && (line.duration_ms ?? 0) > 0)), 'what took long says how long')
  t.match(about.filter((line) => line.service === 'gateway'), [{ msg: 'request answered', status: 202, duration_ms: Number }], 'and the door says what it answered')

  const moves = lines().filter(({ member_id, event }) => member_id !== undefined && members.has(member_id) && event?.startsWith('member.'))
  t.same(moves.map(({ service, event }) => [service, event]), [['bot', 'member.left'], ['bot', 'member.joined'], ['bot', 'member.left']], 'what the group showed is found by the member')
})

t.test('who gets no server', async (t) => {
  const person = actor(system, '6281200000002')
  const { body: { claim_id: claimId } } = await person.claim()
  t.equal((await person.claim()).status, 409)
  t.equal((await actor(system, '6281200000900').claim()).body.error?.code, 'NOT_MEMBER')
  const refused = await until('both are told', async () => {
    const found = lines().filter(({ decision }) => decision?.endsWith('.refused'))
    return found.length >= 2 ? found : undefined
  })
  t.match(refused.toSorted((one, other) => one.service.localeCompare(other.service)), [
    { service: 'claim-store', level: 'info', decision: 'claim.refused', claim_id: claimId, member_id: String, code: 'ALREADY_CLAIMED' },
    { service: 'gateway', level: 'info', decision: 'request.refused', member_id: /^[a-z2-7]{20}$/, code: 'NOT_MEMBER' },
  ], 'is told once, and why')
  await until('the claim is active', async () => (await person.progress(claimId)).status === 'active' || undefined)
  await until('the login is delivered', async () => lines().some(({ claim_id, event }) => claim_id === claimId && event === 'message.delivered') || undefined)
})

t.test('every line', async (t) => {
  for (const { level, time, service, msg } of lines()) {
    if (!['info', 'warn', 'error'].includes(level) || Number.isNaN(Date.parse(time)) || !SERVICES.some((known) => known === service) || msg === '') t.fail(`${service} wrote ${msg}`)
  }
  t.pass('is JSON with level, time, service and a sentence')
})

t.test('when nothing happens', async (t) => {
  const before = written().length
  const looked = async (): Promise<string> => /^klaim_drift_look_timestamp_seconds.* (\S+)$/m.exec(await (await fetch(`${system.healthUrl('provisioner')}/metrics`)).text())?.[1] ?? ''
  for (let looks = 0; looks < 4; looks++) {
    const last = await looked()
    await until('ledger and panel are compared', async () => await looked() === last ? undefined : true)
  }
  t.same(written().slice(before), [], 'nothing is written, though all keep watch')
})
