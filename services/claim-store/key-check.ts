// Under another MEMBER_ID_KEY every member is a stranger who may claim once more, so a ledger that was written under another key is not opened.
// The first event and the last are looked at: while scripts/rekey-members has not finished, they are under two different keys.
import type { Bus } from '../common/bus.ts'
import { decodeEvent } from '../common/envelope.ts'
import { permanent, transient } from '../common/fault.ts'
import { memberIdOf } from '../common/member-id.ts'
import { nextOf } from '../common/page.ts'
import type { Mac } from './mac.ts'
import { LEDGER_EVENTS } from './record.ts'

const STREAM = 'CLAIMS'
const SUBJECTS = 'claims.*.*'

/** Permanent Fault MEMBER_ID_KEY_OTHER. */
export async function checkKey (bus: Pick<Bus, 'raw'>, mac: Mac, memberIdKey: string): Promise<void> {
  const { jsm } = bus.raw
  for (const look of [async () => await nextOf(jsm, STREAM, 1, SUBJECTS), async () => await jsm.streams.getMessage(STREAM, { last_by_subj: SUBJECTS })]) {
    const message = await look().catch((error: unknown) => { throw transient('NATS_UNAVAILABLE', 'the ledger could not be read', { cause: error }) })
    const data = message && mac.isOurs(message) ? dataOf({ subject: message.subject, headers: message.header, data: message.data }) : undefined
    // The word that somebody was erased holds no number.
    if (data?.wa_jid !== undefined && memberIdOf(memberIdKey, data.wa_jid) !== data.member_id) throw permanent('MEMBER_ID_KEY_OTHER', 'the ledger was written under another MEMBER_ID_KEY, or is being re-keyed; see RUNBOOK.md')
  }
}

/** Undefined for what is no decision: the ledger passes it over. */
function dataOf (message: Parameters<typeof decodeEvent>[1]): { wa_jid?: string, member_id: string } | undefined {
  try {
    return decodeEvent(LEDGER_EVENTS, message)?.event.data as { wa_jid?: string, member_id: string } | undefined
  } catch {
    return undefined
  }
}
