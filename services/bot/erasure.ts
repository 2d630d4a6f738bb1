// What the bot knows of a former member, forgotten on the ledger's word.
import type { claimErased } from '../../contracts/events/claims.ts'
import { sentBucket } from '../../contracts/streams.ts'
import type { Bus } from '../common/bus.ts'
import type { EventData } from '../common/consume.ts'
import { checkForgotten } from '../common/forgotten.ts'
import { eraseMessages } from '../common/erase-stream.ts'
import type { Log } from '../common/log.ts'
import type { Announcer } from './announcer.ts'

export interface ErasureOptions {
  readonly bus: Pick<Bus, 'raw' | 'request'>
  readonly announcer: Pick<Announcer, 'forget'>
  readonly log: Log
}

export function createErasure ({ bus, announcer, log }: ErasureOptions): (erased: EventData<typeof claimErased>, deliveryCount: number) => Promise<void> {
  return async (erased, deliveryCount) => {
    const { member_id: memberId, claims } = erased
    await checkForgotten(bus, erased, deliveryCount)
    // The id of a message holds that of its claim.
    const matches = (subject: string): boolean => claims.some(({ claim_id: claimId }) => subject.includes(claimId))
    const movements = await eraseMessages(bus, { stream: 'MEMBERS', filter: `members.${memberId}.*` })
    const delivered = await eraseMessages(bus, { stream: 'MESSAGES', filter: 'messages.delivered.*', matches })
    const undeliverable = await eraseMessages(bus, { stream: 'MESSAGES', filter: 'messages.undeliverable.*', matches })
    const sent = await eraseMessages(bus, { stream: `KV_${sentBucket.name}`, filter: `$KV.${sentBucket.name}.out.*`, matches })
    await announcer.forget(memberId)
    log.info({ decision: 'member.forgotten', member_id: memberId, movements, outcomes: delivered + undeliverable, sent }, 'what the bot knew of a former member is erased')
  }
}
