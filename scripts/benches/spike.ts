// The spike that was specified: so many members within one minute, each from an address of its own, and a panel as a new installation is (240 requests a minute, 8 workers).
import type { System } from '../../deploy/staging/system.ts'
import { callsOf, chats, loginsIn, numberOf, settled, stored, waJidOf } from '../../services/test/crowd.ts'
import { panelState, put, until, type Patience } from '../../services/test/journey.ts'
import { atLeast, atMost, type Bench, type Context, type Figure } from './bench.ts'
import { atRate, visitorsOf, withSystem } from './crowd.ts'
import { quantile } from './statistics.ts'

const PER_MINUTE = 240
const CALLS_MIN = 2
const LOOK_EVERY_MS = 1_000
const WAIT_MS_MAX = 20 * 60_000

export interface Spike {
  /** From the form to active, in milliseconds, in the order in which they asked. */
  readonly tookMs: readonly number[]
  /** From the first form until all were active. */
  readonly allMs: number
  readonly panelCalls: number
  /** Where each stood in the order of becoming active, less where it stood in that of asking. */
  readonly overtaken: readonly number[]
}

/** Members `from` to `from + count` within a minute, or as long as is said. Throws where one is refused or fails. */
export async function spike (system: System, from: number, count: number, withinMs = 60_000): Promise<Spike> {
  const visitors = visitorsOf(system)
  try {
    const before = callsOf((await panelState(system)).requests).all
    const began = Date.now()
    const asked: Array<{ member: number, claimId: string, at: number }> = []
    await atRate(count, count / withinMs * 1_000, async (n) => {
      const at = Date.now()
      asked.push({ member: from + n, claimId: await visitors.claim(from + n), at })
    })
    const activeAt = new Map<string, number>()
    await until('all are active', async () => {
      for (const { claimId, member } of asked) {
        if (activeAt.has(claimId)) continue
        const { status, updated_at } = await visitors.status(claimId, member)
        if (status === 'active') activeAt.set(claimId, Date.parse(updated_at))
        else if (status !== 'creating') throw new Error(`the claim of member ${member} is ${status}`)
        else break
      }
      return activeAt.size === count ? true : undefined
    }, { everyMs: LOOK_EVERY_MS, waitMs: WAIT_MS_MAX })
    const { requests, tooManyRequests } = await panelState(system)
    if (tooManyRequests > 0) throw new Error(`the panel had to send us away ${tooManyRequests} times`)
    const order = [...asked].sort((one, two) => one.at - two.at)
    const became = order.map(({ claimId }) => activeAt.get(claimId) ?? NaN)
    const places = new Map([...became.keys()].sort((one, two) => (became[one] ?? 0) - (became[two] ?? 0)).map((asker, place) => [asker, place]))
    return {
      tookMs: order.map(({ at }, n) => (became[n] ?? NaN) - at), allMs: Math.max(...became) - began,
      panelCalls: callsOf(requests).all - before, overtaken: order.map((_, n) => (places.get(n) ?? NaN) - n),
    }
  } finally {
    await visitors.close()
  }
}

/** One server for each living claim and none besides, one account, each login once. Throws where it is not so. */
export async function checkInvariants (system: System, members: readonly number[]): Promise<void> {
  const logins = await until('a login is in every chat', async () => {
    const all = [...(await chats(system)).values()].map((chat) => loginsIn(chat).length)
    return all.filter((count) => count > 0).length >= members.length ? all : undefined
  }, { everyMs: LOOK_EVERY_MS, waitMs: WAIT_MS_MAX })
  await settled(system)
  const { servers, users, orphans } = await panelState(system)
  const owners = users.flatMap(({ externalId }) => externalId ?? []).toSorted()
  const problems = [
    servers.length === members.length ? '' : `${servers.length} servers for ${members.length} claims`,
    new Set(servers.map(({ externalId }) => externalId)).size === servers.length ? '' : 'two servers of one claim',
    servers.every(({ status, listens }) => status === null && listens) ? '' : 'a server that does not answer',
    JSON.stringify(owners) === JSON.stringify(members.map(waJidOf).toSorted()) ? '' : 'an account too many or too few',
    orphans.length === 0 ? '' : 'a container that nobody knows',
    logins.every((count) => count <= 1) ? '' : 'a login that came twice',
    await stored(system, 'DEAD_LETTERS') === 0 ? '' : 'a dead letter',
  ].filter((problem) => problem !== '')
  if (problems.length > 0) throw new Error(problems.join('; '))
}

/** WhatsApp's pace of sending is no matter of the panel's. */
export const UNPACED = { bot: { SEND_GAP_MS: '0' } }
/** So many who leave at once look like a reading that went wrong, which the bot believes when it has read it again, and like what the brake is for; both are another matter. */
export const BELIEVED = {
  bot: { ...UNPACED.bot, ROSTER_CONFIRM_READS: '2', ROSTER_CONFIRM_MS: '0', ROSTER_EVERY_MS: '5000', ROSTER_GAP_MS: '100' },
  reaper: { DELETIONS_PER_MINUTE: '1000', BRAKE_DEPARTURES_MIN: '1000', SWEEP_EVERY_MS: '5000', POSTPONE_MS: '1000' },
}

/** Resolves when nothing of them is left on the panel, and everything is handled. */
export async function allLeave (system: System, members: readonly number[], patience: Patience = {}): Promise<void> {
  for (const member of members) await put(`${system.whatsappUrl}/people/${numberOf(member)}/leave`, 'POST', {})
  await until('every server is gone', async () => (await panelState(system)).servers.length === 0 ? true : undefined, { everyMs: LOOK_EVERY_MS, waitMs: WAIT_MS_MAX })
  await settled(system, patience)
}
const seconds = (values: readonly number[], share: number): number => quantile(values, share) / 1_000
const membersUpTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1)

async function spikeOf (count: number, { directory }: Context): Promise<Spike> {
  return await withSystem({ directory, members: count, env: UNPACED }, async (system) => {
    const came = await spike(system, 1, count)
    await checkInvariants(system, membersUpTo(count))
    return came
  })
}

export const spike50: Bench = {
  name: 'spike50', summary: '50 members within a minute, 240 panel requests a minute',
  run: async (context) => {
    const { tookMs, panelCalls } = await spikeOf(context.some(50), context)
    return [
      { what: '50 members within a minute, form to active, p50', unit: 's', value: seconds(tookMs, 0.5) },
      { what: '50 members within a minute, form to active, p95', unit: 's', value: seconds(tookMs, 0.95), goal: atMost(120) },
      { what: '50 members within a minute, form to active, p99', unit: 's', value: seconds(tookMs, 0.99), goal: atMost(180) },
      { what: '50 members within a minute, panel calls for each, all in', unit: 'calls', value: panelCalls / tookMs.length, floor: { what: 'an account and a server', value: CALLS_MIN } },
    ]
  },
}

export const spike500: Bench = {
  name: 'spike500', summary: '500 members within a minute, 240 panel requests a minute', isSlow: true,
  run: async (context) => {
    const { tookMs, allMs, panelCalls, overtaken } = await spikeOf(context.some(500), context)
    const rate = tookMs.length / allMs * 60_000
    return [
      { what: '500 members within a minute, claims made a minute', unit: '1/min', value: rate, floor: { what: 'what the panel allows, two calls each', value: PER_MINUTE / CALLS_MIN }, goal: atLeast(0.9, 'ratio') },
      { what: '500 members within a minute, form to active, p95', unit: 's', value: seconds(tookMs, 0.95), floor: { what: 'what the panel allows, two calls each', value: tookMs.length * CALLS_MIN / PER_MINUTE * 60 * 0.95 - 57 } },
      { what: '500 members within a minute, places by which the unluckiest was overtaken', unit: 'places', value: Math.max(...overtaken) },
      { what: '500 members within a minute, panel calls for each, all in', unit: 'calls', value: panelCalls / tookMs.length, floor: { what: 'an account and a server', value: CALLS_MIN }, goal: atMost(2.3) },
    ]
  },
}

export const panel: Bench = {
  name: 'panel', summary: 'panel calls for each of 200 claims and 200 deletions', isSlow: true,
  run: async ({ directory, some }) => {
    const count = some(200)
    return await withSystem({
      directory, members: 2 * count + 5, graceMs: 1_000,
      env: BELIEVED,
    }, async (system) => {
      const { panelCalls } = await spike(system, 1, count)
      await checkInvariants(system, membersUpTo(count))
      const before = callsOf((await panelState(system)).requests).all
      await allLeave(system, membersUpTo(count))
      const { requests, users } = await panelState(system)
      if (users.some(({ externalId }) => externalId !== null)) throw new Error('an account is left over')
      const figures: Figure[] = [
        { what: 'panel calls for each of 200 claims, all in', unit: 'calls', value: panelCalls / count, floor: { what: 'an account and a server', value: 2 }, goal: atMost(2.3) },
        { what: 'panel calls for each of 200 deletions, all in', unit: 'calls', value: (callsOf(requests).all - before) / count, floor: { what: 'a server and an account', value: 2 }, goal: atMost(2.1) },
      ]
      return figures
    })
  },
}
