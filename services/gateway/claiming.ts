// From a form to a claim: the API and the page do the same.
import { createHash, randomUUID } from 'node:crypto'
import type { ClaimForm } from '../../contracts/http.ts'
import type { Language } from '../../contracts/ids.ts'
import { createClaim } from '../../contracts/requests.ts'
import type { Bus } from '../common/bus.ts'
import { Fault } from '../common/fault.ts'
import type { Membership } from '../common/membership.ts'
import type { Templates } from '../common/templates.ts'
import type { Admission } from './admission.ts'
import { waJidOf } from './phone-number.ts'
import { Refusal } from './refusal.ts'

/** WhatsApp sessions come back within this, or a person has to look; in seconds. */
const BOT_OFFLINE_RETRY_S = 30

/** Somebody has to open them. */
const CLOSED_RETRY_S = 300

export interface Attempt {
  /** Already checked against ClaimForm. A chosen password is not even handed on: see contracts/http.ts. */
  readonly form: Omit<ClaimForm, 'password'>
  readonly language: Language
  readonly idempotencyKey: string | undefined
  /** Throws a Refusal where this number was tried too often. */
  readonly limitNumber: (waJid: string) => Promise<void>
}

/** Answers the id of the claim. Throws a Refusal, or a transient Fault where the claim store is away: then nothing is known, and asking again is safe. */
export type Claiming = (attempt: Attempt) => Promise<string>

/** Without country code and zero, however it is written: the shortest numbers have eight digits. */
const NUMBER_DIGITS = 8

/** The panel shows the name to others, and it stands where a number must not. */
export const isMadeOf = (username: string, waJid: string): boolean =>
  username.replaceAll(/\D/g, '').includes(waJid.slice(0, waJid.indexOf('@')).slice(-NUMBER_DIGITS))

export function createClaiming (options: { bus: Pick<Bus, 'request'>, membership: Pick<Membership, 'check'>, admission: Admission, templates: Templates }): Claiming {
  const { bus, membership, admission, templates } = options
  return async ({ form, language, idempotencyKey, limitNumber }) => {
    const dialled = waJidOf(form.wa_number_e164)
    if (dialled === undefined) throw new Refusal('INVALID_PHONE', { field: 'wa_number_e164' })
    const template = templates.get(form.template)
    if (!template) throw new Refusal('INVALID_TEMPLATE', { field: 'template' })
    if (isMadeOf(form.username, dialled)) throw new Refusal('INVALID_USERNAME', { field: 'username' })
    const [isClosed] = await Promise.all([admission.isClosed(), limitNumber(dialled)])
    const answer = await bus.request(createClaim, {
      claim_id: randomUUID(),
      // While no claims are taken nobody has to be looked for: only whose claim was taken before finds it, by the key of the same tap.
      wa_jid: isClosed ? dialled : await memberJid(dialled),
      ...(isClosed ? { closed: true } : {}),
      username: form.username,
      template: template.name,
      template_version: template.definition.version,
      language,
      ...(idempotencyKey === undefined ? {} : { idempotency_key_hash: createHash('sha256').update(idempotencyKey).digest('hex') }),
    })
    if (answer.ok) return answer.claim_id
    if (answer.rejection === 'CLAIMS_CLOSED') throw new Refusal('CLAIMS_CLOSED', { retryAfterS: CLOSED_RETRY_S })
    throw new Refusal(answer.rejection, {
      claimId: answer.claim_id,
      ...(answer.rejection === 'LEAVING' ? { deletionScheduledAt: answer.deletion_scheduled_at ?? undefined } : {}),
    })
  }

  /** The number as WhatsApp writes it. Who cannot be looked up is not absent: that is our trouble, and theirs to try again. */
  async function memberJid (dialled: string): Promise<string> {
    try {
      const { membership: state, wa_jid, member_id: memberId } = await membership.check(dialled)
      if (state === 'present') return wa_jid
      if (state === 'absent') throw new Refusal('NOT_MEMBER', { memberId })
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      throw new Refusal('BOT_OFFLINE', { retryAfterS: BOT_OFFLINE_RETRY_S }, error)
    }
    throw new Refusal('BOT_OFFLINE', { retryAfterS: BOT_OFFLINE_RETRY_S })
  }
}
