// Who or what an operator means: a claim or a member by id, which hold no number, or the number itself, which is asked for so that it stays out of the shell's history.
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { ClaimId, MemberId } from '../../contracts/ids.ts'
import { getClaim, type ClaimView } from '../../contracts/requests.ts'
import type { Bus } from '../../services/common/bus.ts'
import { validatorOf } from '../../services/common/envelope.ts'
import { waJidOf } from '../../services/gateway/phone-number.ts'
import { CalledWrongly } from './options.ts'

export type Whom = { readonly claim_id: string } | { readonly member_id: string } | { readonly wa_jid: string }

export const WHOM = { takes: '<claim id or member id>', max: 1 } as const
export const WHOM_DETAILS = ['Of a member their newest claim is meant. Without an id the WhatsApp number is asked for, so that it stays out of the shell\'s history.']

/** Asks on the terminal where no id is given. Throws CalledWrongly, which repeats nothing of what was typed. */
export async function whomOf (words: readonly string[]): Promise<Whom> {
  const [id] = words
  if (id === undefined) return await asked()
  if (validatorOf(ClaimId).Check(id)) return { claim_id: id }
  if (validatorOf(MemberId).Check(id)) return { member_id: id }
  throw new CalledWrongly('give a claim id or a member id, or nothing: the number is then asked for, so that it stays out of the shell\'s history')
}

async function asked (): Promise<Whom> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  // Whoever ends the input says nothing.
  const typed = await Promise.race([lines.question('WhatsApp number: '), once(lines, 'close').then(() => '')])
  lines.close()
  const wa_jid = waJidOf(typed)
  if (wa_jid === undefined) throw new CalledWrongly('that is no WhatsApp number')
  return { wa_jid }
}

/** The claim, or the member's newest; undefined where there is none. */
export async function claimOf (bus: Pick<Bus, 'request'>, whom: Whom): Promise<ClaimView | undefined> {
  const answer = await bus.request(getClaim, whom)
  return answer.ok ? answer.claim : undefined
}
