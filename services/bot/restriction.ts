// Whether WhatsApp restricts the account, by all that is heard of it. 463 alone does not say so: it also meets who never wrote to the bot.
import { meaningOf } from './outbox.ts'
import type { ReachoutLock, SendResult } from './whatsapp.ts'

export interface Restriction {
  readonly lock: ReachoutLock
  /** The account was refused as such (402, 403), and nothing was accepted since. */
  readonly isRefused: boolean
  /** Why the connection was ended for good; null where it was not. */
  readonly stopCode: string | null
}

export const UNRESTRICTED: Restriction = { lock: { isActive: false, until: 0 }, isRefused: false, stopCode: null }

const STOPS: readonly string[] = ['WHATSAPP_TEMPORARILY_BANNED', 'WHATSAPP_FORBIDDEN', 'WHATSAPP_BANNED']

export function afterSend (restriction: Restriction, result: SendResult): Restriction {
  if (result.kind === 'accepted') return { ...restriction, isRefused: false }
  return meaningOf(result.error) === 'WHATSAPP_RESTRICTED' ? { ...restriction, isRefused: true } : restriction
}

/** A lock whose end was not told goes on until WhatsApp says otherwise. */
const isLocked = ({ isActive, until }: ReachoutLock, now: number): boolean => isActive && (until === 0 || until > now)

export const isRestricted = ({ lock, isRefused, stopCode }: Restriction, now: number): boolean =>
  isLocked(lock, now) || isRefused || (stopCode !== null && STOPS.includes(stopCode))
