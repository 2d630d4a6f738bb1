// The end of a claim on the panel. Works from the event alone: what is written down may be lost.
import type { deletionStarted } from '../../contracts/events/claims.ts'
import { serverDeleted } from '../../contracts/events/servers.ts'
import type { Bus } from '../common/bus.ts'
import type { Event } from '../common/envelope.ts'
import { Fault, transient } from '../common/fault.ts'
import { emailOf } from './identity.ts'
import type { Inventory } from './inventory.ts'
import type { ProgressStore } from './progress-store.ts'
import { begun } from './provisioning.ts'
import type { Removal } from './removal.ts'

export interface Deleter {
  /** Resolves when the panel has neither the server nor, unless it must stay, the account, and that is said. */
  remove (event: Event<typeof deletionStarted.data>, count: number, signal: AbortSignal): Promise<void>
}

export interface DeleterOptions {
  readonly bus: Bus
  readonly removal: Removal
  readonly store: ProgressStore
  readonly inventory: Inventory
  readonly emailDomain: string
}

/** After so many tries a node is down for long, and is asked four times an hour: 500 tries are five days. */
const PATIENT_AFTER = 20
const PATIENT_MS = 15 * 60_000

export function createDeleter ({ bus, removal, store, inventory, emailDomain }: DeleterOptions): Deleter {
  async function remove (event: Event<typeof deletionStarted.data>, signal: AbortSignal): Promise<void> {
    const { claim_id, member_id, wa_jid: waJid, server_id: serverId, user_id: userId, delete_job_id } = event.data
    const held = await store.load(claim_id)
    let userDeleted = held?.progress.state === 'deleted' ? held.progress.user_deleted : undefined
    if (userDeleted === undefined) {
      userDeleted = (await removal.both(claim_id, { memberId: member_id, waJid, email: emailOf(member_id, emailDomain) }, { serverId, userId }, signal)).userDeleted
      if (held?.progress.port) await inventory.release(held.progress.port.id, claim_id)
      // What remains is the word that this claim is over: its request may be delivered again.
      await store.save(held, { ...begun(claim_id, member_id), state: 'deleted', user_deleted: userDeleted })
    }
    await bus.publish(serverDeleted, {
      key: `${claim_id}:${delete_job_id}`, correlation: claim_id, causation: event.id, since: event.time,
      data: { claim_id, member_id, delete_job_id, user_deleted: userDeleted },
    })
  }

  return {
    remove: async (event, count, signal) => {
      try {
        await remove(event, signal)
      } catch (error) {
        if (!(error instanceof Fault) || error.kind !== 'transient' || count < PATIENT_AFTER || error.code === 'STOPPING') throw error
        throw transient(error.code, error.message, { cause: error, retryAfterMs: Math.max(error.retryAfterMs ?? 0, PATIENT_MS) })
      }
    },
  }
}
