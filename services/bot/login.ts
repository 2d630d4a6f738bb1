// A new panel password, set by the provisioner and sent to the member in two messages: the words, then the password alone, so that it can be
// copied and deleted by itself. What SANDI does, and what an operator's `send_login` does.
import type { Static } from 'typebox'
import { resetPassword, type ClaimView, type sendLogin } from '../../contracts/requests.ts'
import type { Language } from '../../contracts/ids.ts'
import type { Bucket } from '../common/bucket.ts'
import type { Bus } from '../common/bus.ts'
import { codeOf, Fault } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import type { Messages } from '../common/messages.ts'
import { meaningOf, newerLoginKey } from './outbox.ts'
import type { Person } from './roster.ts'
import type { Sender } from './sender.ts'
import type { Link } from './whatsapp.ts'

type Refusal = Exclude<Static<typeof sendLogin.answer>, { ok: true }>['rejection']
export type LoginSent = { readonly ok: true } | { readonly ok: false, readonly rejection: Refusal, readonly retryAfterS?: number }

export interface LoginOptions {
  readonly bus: Pick<Bus, 'request'>
  readonly sent: Bucket
  readonly sender: Sender
  readonly link: () => Link | null
  readonly open: (sealed: string) => Promise<string>
  readonly messages: Messages
  readonly panelUrl: string | undefined
  readonly log: Log
}

const TRIES_MAX = 3

export type NewLogin = (claim: ClaimView, to: Person, language: Language) => Promise<LoginSent>

export function createNewLogin ({ bus, sent, sender, link, open, messages, panelUrl, log }: LoginOptions): NewLogin {
  return async (claim, to, language) => {
    const { claim_id, member_id, user_id } = claim
    if (user_id === null || claim.deletion_started || (claim.status !== 'active' && claim.status !== 'deleting')) return { ok: false, rejection: 'NOT_ACTIVE' }
    const current = link()
    if (!current) return { ok: false, rejection: 'BOT_OFFLINE' }
    let reset: Static<typeof resetPassword.answer>
    try {
      reset = await bus.request(resetPassword, { claim_id, member_id, user_id })
    } catch (error) {
      log.warn({ claim_id, member_id, code: codeOf(error), err: error }, 'no new password was set')
      return { ok: false, rejection: 'PANEL_DOWN' }
    }
    if (!reset.ok) return { ok: false, rejection: reset.rejection, ...(reset.retry_after_s === undefined ? {} : { retryAfterS: reset.retry_after_s }) }
    const { username, sealed_password } = reset
    // Before the new one is sent: the old one may still be waiting for its turn, and would come last.
    await sent.create(newerLoginKey(claim_id), '')
    let password: string
    try {
      password = await open(sealed_password)
    } catch (error) {
      log.error({ claim_id, member_id, code: codeOf(error) }, 'a new password cannot be opened with any key of ours')
      return { ok: false, rejection: 'SEAL_UNREADABLE' }
    }
    const words = panelUrl === undefined ? messages.say(language, 'chat.login_without_panel', { username }) : messages.say(language, 'chat.login', { username, panel: panelUrl })
    for (const text of [words, password]) {
      const refusal = await insist(to, text, current.messageId())
      if (refusal) return { ok: false, rejection: refusal }
    }
    log.info({ decision: 'login.sent', claim_id, member_id }, 'a new login was sent')
    return { ok: true }
  }

  /** Tries again under the same id where there was no verdict. */
  async function insist (to: Person, text: string, id: string): Promise<Refusal | null> {
    for (let tries = 1; ; tries++) {
      try {
        const result = await sender.send(to, text, id)
        if (result.kind === 'accepted') return null
        const meaning = meaningOf(result.error)
        if (meaning !== 'again') return meaning
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        if (tries >= TRIES_MAX) return 'BOT_OFFLINE'
      }
      if (tries >= TRIES_MAX) return 'WHATSAPP_REFUSED'
    }
  }
}
