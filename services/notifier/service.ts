import { claimActivated, claimDeleted, claimErased, claimFailed, deletionCancelled, deletionScheduled } from '../../contracts/events/claims.ts'
import { messageOutbound } from '../../contracts/events/messages.ts'
import { notifierClaims } from '../../contracts/streams.ts'
import type { Bus } from '../common/bus.ts'
import { on, type Subscription } from '../common/consume.ts'
import type { Event } from '../common/envelope.ts'
import { eraseMessages } from '../common/erase-stream.ts'
import { checkForgotten } from '../common/forgotten.ts'
import type { Log } from '../common/log.ts'
import type { Notice, Wording } from './wording.ts'

/**
 * Says one notice for each event of a claim that its member should hear of. The publish is the only effect and its id derives from the
 * event, so an event that comes twice, or a death between publish and acknowledgement, stores one notice.
 */
export function startNotifying (options: { bus: Bus, wording: Wording, log: Log }): Subscription {
  const { bus, wording, log } = options

  async function say (event: Event, notice: Notice): Promise<void> {
    await bus.publish(messageOutbound, { key: notice.message_id, data: notice, correlation: notice.claim_id, causation: event.id })
  }

  return bus.consume(notifierClaims, [
    on(claimActivated, async (event) => { await say(event, wording.activated(event.data)) }),
    on(claimFailed, async (event) => { await say(event, wording.failed(event.data)) }),
    on(deletionScheduled, async (event) => { await say(event, wording.deletionScheduled(event.data)) }),
    on(deletionCancelled, async (event) => { await say(event, wording.deletionCancelled(event.data)) }),
    on(claimDeleted, async (event) => { await say(event, wording.deleted(event.data)) }),
    // The id of a notice holds that of its claim.
    on(claimErased, async ({ data }, { count }) => {
      const { member_id: memberId, claims } = data
      await checkForgotten(bus, data, count)
      const notices = await eraseMessages(bus, { stream: 'MESSAGES', filter: 'messages.outbound.*', matches: (subject) => claims.some(({ claim_id: claimId }) => subject.includes(claimId)) })
      log.info({ decision: 'member.forgotten', member_id: memberId, notices }, 'the notices of a former member are erased')
    }),
  ])
}
