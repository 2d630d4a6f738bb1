// Why something was not done, in a sentence each. What can be done about it is in RUNBOOK.md, by the code.
import type { Static } from 'typebox'
import type { OperatorRefusal } from '../../contracts/codes.ts'
import { runbookAnchor } from '../../contracts/events/dead-letters.ts'
import type { sendLogin } from '../../contracts/requests.ts'
import { EXIT, type Call } from './program.ts'

type LoginRefusal = Exclude<Static<typeof sendLogin.answer>, { ok: true }>['rejection']

const WORDS: Readonly<Partial<Record<LoginRefusal | OperatorRefusal, string>>> & Readonly<Record<OperatorRefusal, string>> = {
  NOT_FOUND: 'there is no such claim, or it was erased',
  NOT_CURRENT: 'the member has a newer claim',
  NOT_FAILED: 'only a claim that failed is tried again',
  REQUEST_LOST: 'the ledger was made anew and does not know what was asked for; the member claims again',
  NOT_MEMBER: 'the member is not in the group',
  MEMBER_PRESENT: 'the member is in the group; if it is to go all the same, say --even-if-present',
  MEMBERSHIP_UNKNOWN: 'the bot cannot tell who is in the group',
  NO_SERVER: 'the claim failed, so there is no server',
  NOT_SCHEDULED: 'no deletion of this claim is scheduled',
  DELETION_STARTED: 'the panel is deleting it already, and there is no way back',
  NOT_HELD: 'the deletion is not held, or not any more',
  NOT_LATER: 'it is due later than that anyway',
  TOO_FAR: 'that is more than 30 days after the leave',
  TOO_SOON: 'a new password was set a moment ago',
  NOT_ACTIVE: 'there is no server, or it is being deleted',
  BOT_OFFLINE: 'the bot is not connected to WhatsApp',
}

/** Says it, and answers the exit code. */
export function refused (call: Pick<Call, 'tell'>, code: LoginRefusal | OperatorRefusal): number {
  const words = WORDS[code]
  call.tell({ ok: false, code, runbook: runbookAnchor(code) }, `${code}${words === undefined ? '' : `: ${words}`} (${runbookAnchor(code)})`)
  return EXIT.no
}
