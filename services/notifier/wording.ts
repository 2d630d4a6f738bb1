// What a member is told when something happened to their claim: event → notice. Pure: the same event gives the same notice, id included.
import type { Static } from 'typebox'
import { claimActivated, claimDeleted, claimFailed, deletionCancelled, deletionScheduled } from '../../contracts/events/claims.ts'
import type { messageOutbound, MessageKind } from '../../contracts/events/messages.ts'
import type { EventData } from '../common/consume.ts'
import { wib, type Messages } from '../common/phrases.ts'

export type Notice = Static<typeof messageOutbound.data>

export interface Wording {
  activated (data: EventData<typeof claimActivated>): Notice
  failed (data: EventData<typeof claimFailed>): Notice
  deletionScheduled (data: EventData<typeof deletionScheduled>): Notice
  deletionCancelled (data: EventData<typeof deletionCancelled>): Notice
  deleted (data: EventData<typeof claimDeleted>): Notice
}

/** The id of a notice holds that of its claim or job: by it the notice is found, and erased. */
export const noticeIds = {
  login: (claimId: string): string => `login-${claimId}`,
  failed: (claimId: string): string => `failed-${claimId}`,
  warning: (deleteJobId: string, dueAt: Date): string => `leave-${deleteJobId}-${Math.floor(dueAt.getTime() / 1000)}`,
  cancelled: (deleteJobId: string): string => `cancelled-${deleteJobId}`,
  deleted: (deleteJobId: string): string => `deleted-${deleteJobId}`,
}

const NOW_TOLD_MS = 3_600_000

/** `panelUrl` is where members log in. */
export function createWording (messages: Messages, panelUrl: string): Wording {
  const panel = panelUrl.replace(/\/$/, '')
  const to = ({ claim_id, member_id, wa_jid, language }: Addressee, kind: MessageKind, message_id: string) => ({ claim_id, member_id, wa_jid, language, kind, message_id })
  return {
    activated: (data) => {
      const { claim_id, language, username, sealed_password, requested_at } = data
      const words = messages.say(language, isRenamed(data) ? 'notices.login_renamed' : 'notices.login', { panel, username, address: hostAndPort(data.address) })
      // The password stands alone so that it can be copied, and deleted, with one touch. Only the bot can fill it in.
      const parts = [words, messages.say(language, 'notices.login_password', { password: '{password}' })]
      return { ...to(data, 'login', noticeIds.login(claim_id)), parts, sealed_password, ...(requested_at === undefined ? {} : { requested_at }) }
    },
    failed: (data) => {
      const { claim_id, language, code } = data
      return { ...to(data, 'failed', noticeIds.failed(claim_id)), parts: [messages.say(language, 'notices.failed', { reason: messages.say(language, `failures.${code}`), code })] }
    },
    deletionScheduled: (data) => {
      const { delete_job_id, deletion_scheduled_at, language, reason, operation } = data
      const due = new Date(deletion_scheduled_at)
      const notice = to(data, 'leave_warning', noticeIds.warning(delete_job_id, due))
      // Due at once: what is said stays true, and soon the word that it is deleted says more.
      if (operation === 'delete') return { ...notice, parts: [messages.say(language, 'notices.deletion_now_operator')], expires_at: new Date(due.getTime() + NOW_TOLD_MS).toISOString() }
      return {
        ...notice,
        parts: [messages.say(language, WARNINGS[reason], { time: wib(due, language) })],
        // "Rejoin before then" is untrue afterwards.
        expires_at: due.toISOString(),
      }
    },
    deletionCancelled: (data) => {
      const key = data.reason === 'operator' ? 'notices.deletion_cancelled_operator' : 'notices.deletion_cancelled'
      return { ...to(data, 'deletion_cancelled', noticeIds.cancelled(data.delete_job_id)), parts: [messages.say(data.language, key)] }
    },
    deleted: (data) => {
      const key = data.user_deleted ? 'notices.deleted' : 'notices.deleted_account_kept'
      return { ...to(data, 'deleted', noticeIds.deleted(data.delete_job_id)), parts: [messages.say(data.language, key)] }
    },
  }
}

type Addressee = Pick<Notice, 'claim_id' | 'member_id' | 'wa_jid' | 'language'>

const WARNINGS = { left: 'notices.leave_warning', outage: 'notices.leave_warning_outage', operator: 'notices.leave_warning_operator' } as const

/** A name that somebody else holds gets `-` and the beginning of the member's pseudonym, at least four characters, which nobody picks by chance. */
function isRenamed ({ username, member_id }: { username: string, member_id: string }): boolean {
  const suffix = /-([a-z2-7]{4,20})$/.exec(username)?.[1]
  return suffix !== undefined && member_id.startsWith(suffix)
}

/** IPv6 addresses stand in brackets before a port (RFC 3986). */
function hostAndPort ({ host, port }: { host: string, port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
