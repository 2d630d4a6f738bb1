// Whether new claims are taken: one entry in NATS, so that it holds for every gateway and over restarts.
import type { Static } from 'typebox'
import { closeClaims, openClaims } from '../../contracts/requests.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import type { Bucket } from '../common/bucket.ts'
import { transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { onWord } from '../common/operations.ts'
import { patiently } from '../common/patience.ts'

const KEY = 'claims'
const CLOSED = 'closed'
const OPEN = 'open'
const TRIES_MAX = 5

export interface Admission {
  /** Throws a transient Fault NATS_UNAVAILABLE. */
  isClosed (): Promise<boolean>
}

/** While NATS takes in changed rights, or a cluster chooses a leader, nobody answers for a moment (seen: `no responders` while a service's key was changed). */
const PATIENCE_MS = 2_000
const AGAIN_EVERY_MS = 100

export function createAdmission (bucket: Pick<Bucket, 'get'>): Admission {
  return {
    isClosed: async () => await patiently(async () => (await bucket.get(KEY))?.text() === CLOSED, { until: performance.now() + PATIENCE_MS, everyMs: AGAIN_EVERY_MS }),
  }
}

/** What operators ask. */
export function createDoor (bus: Pick<Bus, 'publish'>, bucket: Pick<Bucket, 'get' | 'create' | 'update'>, log: Log): Responder[] {
  /** False: it was so before. */
  async function set (state: string, isDry: boolean): Promise<boolean> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const entry = await bucket.get(KEY)
      if ((entry?.text() ?? OPEN) === state) return false
      if (isDry || await (entry ? bucket.update(KEY, state, entry.revision) : bucket.create(KEY, state)) !== null) return true
    }
    throw transient('NATS_UNAVAILABLE', 'whether claims are taken kept changing')
  }

  const door = (request: typeof closeClaims, state: string): Responder => answering(request, async ({ dry_run: isDry = false, by, why }): Promise<Static<typeof request.answer>> => {
    const carryOut = async () => ({ ok: true as const, outcome: await set(state, isDry) ? 'done' as const : 'already' as const })
    if (isDry) return await carryOut()
    const answer = await onWord(bus, { request, by, why }, carryOut)
    log.warn({ decision: `claims.${state}`, by, why, outcome: answer.outcome }, 'an operator says whether claims are taken')
    return answer
  })
  return [door(closeClaims, CLOSED), door(openClaims, OPEN)]
}
