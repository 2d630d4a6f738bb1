// What one claim and one departure cost each process, and at which rate of claims the first of them gives out.
import { setTimeout as delay } from 'node:timers/promises'
import { STORED } from '../../contracts/streams.ts'
import { SERVICES, type System } from '../../deploy/staging/system.ts'
import { settled, withStreams } from '../../services/test/crowd.ts'
import type { Bench, Figure } from './bench.ts'
import { atRate, inFlight, visitorsOf, withSystem } from './crowd.ts'
import { allLeave, BELIEVED, checkInvariants, UNPACED } from './spike.ts'
import { processorsOf, since, type Amounts } from './service-process.ts'
import { quantile } from './statistics.ts'

const MEMBERS = 300
const AT_ONCE = 8
const IDLE_MS = 10_000
const RATES = [10, 20, 40, 80, 160, 320]
const RATE_SECONDS = 10
/** Above it the 202 of a form is late for somebody who waits for it. */
const LATE_MS = 1_000
const WAIT_MS_MAX = 20 * 60_000
const KLAIM: readonly string[] = [...SERVICES, 'nats-server']

/** Of those that are Klaim's: neither the doubles nor who visits. */
const used = (system: System): Amounts => new Map([...processorsOf(system)].filter(([name]) => KLAIM.includes(name)))

/** What each spends in a millisecond in which nobody comes: polls, heartbeats, scrapes. */
async function idle (system: System): Promise<Amounts> {
  const before = used(system)
  await delay(IDLE_MS)
  return new Map([...since(before, used(system))].map(([name, ms]) => [name, ms / IDLE_MS]))
}

/** Bytes that each stream holds. */
async function held (system: System): Promise<Amounts> {
  return await withStreams(system, async (jsm) => new Map(await Promise.all(STORED.map(async (name) => [name, (await jsm.streams.info(name)).state.bytes] as const))))
}

/** Members 1 to `count` claim, and leave. What passes without them is taken off. */
async function lifeOf (system: System, count: number): Promise<Figure[]> {
  const visitors = visitorsOf(system)
  const members = Array.from({ length: count }, (_, n) => n + 1)
  try {
    const [alone, empty] = [await idle(system), await held(system)]
    const [atFirst, began] = [used(system), performance.now()]
    await inFlight(count, AT_ONCE, async (n) => { await visitors.claim(n + 1) })
    await checkInvariants(system, members)
    const [claimed, claimedMs] = [used(system), performance.now() - began]
    const leaving = performance.now()
    await allLeave(system, members, { waitMs: WAIT_MS_MAX })
    const [gone, goneMs] = [used(system), performance.now() - leaving]
    const each = (what: string, spent: Amounts, ms: number): Figure[] => [...spent].map(([name, all]) => ({ what: `processor time of ${name} for each ${what}`, unit: 'ms', value: (all - ms * (alone.get(name) ?? NaN)) / count }))
    const kept = [...since(empty, await held(system))].filter(([, bytes]) => bytes > 0)
    return [...kept.map(([name, bytes]): Figure => ({ what: `held on ${name} of each member who came and went`, unit: 'kB', value: bytes / count / 1_000 })), { what: 'claims a minute, eight at a time, from form to login', unit: '1/min', value: count / claimedMs * 60_000 }, ...each('claim', since(atFirst, claimed), claimedMs), ...each('departure', since(claimed, gone), goneMs)]
  } finally {
    await visitors.close()
  }
}

/** Steps up until the 202 is late. */
async function rampOf (system: System, first: number, some: (count: number) => number, say: (line: string) => void): Promise<Figure[]> {
  const visitors = visitorsOf(system)
  let [member, kept] = [first, 0]
  try {
    for (const rate of RATES) {
      const [before, began, count] = [used(system), performance.now(), some(rate * RATE_SECONDS)]
      const base = member
      member += count
      const took = await atRate(count, rate, async (n) => { await visitors.claim(base + n) })
      const [p50, p99, ms] = [quantile(took, 0.5), quantile(took, 0.99), performance.now() - began]
      say(`${rate}/s: p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms; of a processor: ${[...since(before, used(system))].map(([name, spent]) => `${name} ${(spent / ms * 100).toFixed(0)} %`).join(', ')}`)
      if (p99 > LATE_MS) break
      kept = rate
      // What came before is worked off first: a step is to show its own rate.
      await settled(system, { waitMs: WAIT_MS_MAX })
    }
  } finally {
    await visitors.close()
  }
  return [{ what: `claims a second of which 99 % are answered within ${LATE_MS / 1_000} s`, unit: '1/s', value: kept }]
}

const UNLIMITED = { panel: { PANEL_DOUBLE_RATE_LIMIT: '1000000' } }
export const capacity: Bench = {
  name: 'capacity', summary: 'processor time of each process for a claim and a departure, and the rate at which the first gives out', isSlow: true,
  run: async ({ directory, some, say }) => {
    const count = some(MEMBERS)
    const life = await withSystem({ directory: `${directory}/life`, members: count + 5, graceMs: 1_000, env: { ...UNLIMITED, ...BELIEVED } }, async (system) => await lifeOf(system, count))
    for (const { what, value, unit } of life) say(`${what}: ${value.toFixed(1)} ${unit}`)
    const visitors = RATES.reduce((sum, rate) => sum + some(rate * RATE_SECONDS), 0)
    const ramp = await withSystem({ directory: `${directory}/ramp`, members: visitors, env: { ...UNLIMITED, ...UNPACED } }, async (system) => await rampOf(system, 1, some, say))
    return [...life, ...ramp]
  },
}
