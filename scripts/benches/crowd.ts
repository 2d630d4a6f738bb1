// Visitors by the hundred at a steady rate, and the whole system that they visit.
import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'undici'
import { startSystem, type System, type SystemOptions } from '../../deploy/staging/system.ts'
import { numberOf } from '../../services/test/crowd.ts'
import { PROGRAMS } from './service-process.ts'

/** Of a node of the double; nobody claims more than two nodes have in the time of a bench. */
const PORTS_MAX = 1_000

/** Starts `work` so often a second, whether or not the one before has ended; resolves when all have. Answers what each took, in milliseconds. */
export async function atRate (count: number, perSecond: number, work: (n: number) => Promise<void>): Promise<number[]> {
  const began = performance.now()
  const all: Array<Promise<number>> = []
  for (let n = 0; n < count; n++) {
    const early = began + n / perSecond * 1_000 - performance.now()
    if (early > 0) await delay(early)
    const from = performance.now()
    all.push(work(n).then(() => performance.now() - from))
  }
  return await Promise.all(all)
}

/** So many at a time, until all are done. */
export async function inFlight (count: number, atOnce: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, async () => { while (next < count) await work(next++) }))
}

/** A system that trusts its proxy to say who asks, with ports enough for all members. */
export async function withSystem<Result> (options: SystemOptions, work: (system: System) => Promise<Result>): Promise<Result> {
  const { members = 5, env = {} } = options
  const system = await startSystem({
    ...options,
    rootOf: () => PROGRAMS,
    env: {
      ...env,
      gateway: { TRUST_PROXY: '127.0.0.1/32', ...env.gateway },
      panel: { PANEL_DOUBLE_PORTS_PER_NODE: String(Math.min(PORTS_MAX, Math.max(50, Math.ceil(members * 0.6)))), ...env.panel },
    },
  })
  try {
    return await work(system)
  } finally {
    await system.close()
  }
}

export interface Visitors {
  /** Fills in the form, from an address of the member's own; answers the claim's id. Throws where it is not accepted. */
  claim (member: number): Promise<string>
  status (claimId: string, member: number): Promise<{ status: string, updated_at: string }>
  close (): Promise<void>
}

export const addressOf = (member: number): string => `10.${member >> 16 & 255}.${member >> 8 & 255}.${member & 255}`

export function visitorsOf (system: Pick<System, 'gatewayUrls'>): Visitors {
  const pool = new Pool(system.gatewayUrls[0] ?? '', { connections: 128, connect: { timeout: 5_000 } })
  return {
    claim: async (member) => {
      const { statusCode, body } = await pool.request({
        method: 'POST', path: '/api/claim', headers: { 'content-type': 'application/json', 'x-forwarded-for': addressOf(member) },
        body: JSON.stringify({ username: `user${String(member).padStart(5, '0')}`, wa_number_e164: `+${numberOf(member)}`, template: 'nodejs' }),
      })
      const text = await body.text()
      if (statusCode !== 202) throw new Error(`the claim of member ${member} was answered by ${statusCode}: ${text}`)
      return (JSON.parse(text) as { claim_id: string }).claim_id
    },
    status: async (claimId, member) => {
      const { statusCode, body } = await pool.request({ method: 'GET', path: `/api/claim/${claimId}/status`, headers: { 'x-forwarded-for': addressOf(member) } })
      const text = await body.text()
      if (statusCode !== 200) throw new Error(`the status of a claim was answered by ${statusCode}: ${text}`)
      return JSON.parse(text) as { status: string, updated_at: string }
    },
    close: async () => { await pool.close() },
  }
}

