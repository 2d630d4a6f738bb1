// A new password for a member who never got theirs, or lost it: at most one a minute, whoever asks and however many provisioners there are.
import type { Static } from 'typebox'
import { FAILURE_CODES, type FailureCode } from '../../contracts/codes.ts'
import { Username } from '../../contracts/ids.ts'
import type { resetPassword } from '../../contracts/requests.ts'
import type { Bucket } from '../common/bucket.ts'
import { validatorOf } from '../common/envelope.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { emailOf, type Account } from './identity.ts'
import type { ProgressStore } from './progress-store.ts'
import type { Pterodactyl } from './pterodactyl.ts'

type Question = Static<typeof resetPassword.question>
type Answer = Static<typeof resetPassword.answer>

export interface PasswordResetOptions {
  readonly panel: Pterodactyl
  readonly store: ProgressStore
  /** Where the time of each member's last reset stands. */
  readonly bucket: Bucket
  readonly seal: (secret: string) => Promise<string>
  readonly newPassword: () => string
  readonly emailDomain: string
  readonly everyMs: number
  readonly now: () => number
  readonly signal: AbortSignal
  readonly log: Log
}

/** Where the time of a member's last reset stands. */
export const resetKey = (memberId: string): string => `reset.${memberId}`

/** Whoever asks waits 30 s. */
const ANSWER_MS = 20_000

export function createPasswordReset ({ panel, store, bucket, seal, newPassword, emailDomain, everyMs, now, signal, log }: PasswordResetOptions): (question: Question) => Promise<Answer> {
  /** Seconds to wait; 0 where this reset may go on, and then the next may not. */
  async function reserve (key: string): Promise<number> {
    const entry = await bucket.get(key)
    const leftMs = entry ? Number(entry.text()) + everyMs - now() : 0
    if (leftMs > 0) return Math.ceil(leftMs / 1_000)
    const revision = entry ? await bucket.update(key, String(now()), entry.revision) : await bucket.create(key, String(now()))
    return revision === null ? Math.max(1, Math.ceil(everyMs / 1_000)) : 0
  }

  /** Members may change their address on the panel; then what we wrote down about the claim says whose the account is. */
  async function isTheirs (account: Account, { claim_id, member_id, user_id }: Question): Promise<boolean> {
    if (account.root_admin || !validatorOf(Username).Check(account.username)) return false
    const isJid = account.external_id?.endsWith('@s.whatsapp.net') ?? false
    if (account.email === emailOf(member_id, emailDomain)) return isJid || account.external_id === null
    const held = await store.load(claim_id)
    return isJid && held?.progress.member_id === member_id && held.progress.user?.id === user_id
  }

  async function change (question: Question): Promise<Answer> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
    const account = await panel.user(question.user_id, 'poll', limited)
    if (!account) return { ok: false, rejection: 'SERVER_VANISHED' }
    if (!await isTheirs(account, question)) return { ok: false, rejection: 'IDENTITY_CONFLICT' }
    const password = newPassword()
    const sealed_password = await seal(password)
    await panel.setPassword(account, password, 'poll', limited)
    log.info({ decision: 'password.set', claim_id: question.claim_id, member_id: question.member_id }, 'a new password was set')
    return { ok: true, username: account.username, sealed_password }
  }

  return async (question) => {
    const key = resetKey(question.member_id)
    const waitS = await reserve(key)
    if (waitS > 0) return { ok: false, rejection: 'TOO_SOON', retry_after_s: waitS }
    try {
      const answer = await change(question)
      if (!answer.ok) await bucket.delete(key)
      return answer
    } catch (error) {
      await bucket.delete(key)
      const code = codeOf(error) === 'ACCOUNT_VANISHED' ? 'SERVER_VANISHED' : codeOf(error)
      log.warn({ decision: 'password.refused', claim_id: question.claim_id, member_id: question.member_id, code, err: error }, 'no new password was set')
      return { ok: false, rejection: isFailureCode(code) ? code : code === 'STOPPING' ? 'PANEL_DOWN' : 'INTERNAL' }
    }
  }
}

const isFailureCode = (code: string): code is FailureCode => (FAILURE_CODES as readonly string[]).includes(code)
