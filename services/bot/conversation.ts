// What a member who writes to the bot gets to hear. Pure: the words' keys come out, and what has to be asked of the provisioner.
import { isOver, type ClaimStatus } from '../../contracts/codes.ts'
import type { Language } from '../../contracts/ids.ts'
import type { Membership } from './roster.ts'

export type Intent = 'status' | 'login' | 'erase' | 'help' | 'other'

/** What is known of the newest claim of whoever writes. */
export interface Claim {
  readonly status: ClaimStatus
  readonly step?: string | undefined
  readonly failureCode?: string | undefined
  readonly deletionStarted: boolean
  /** Epoch ms; null where no deletion is scheduled. */
  readonly deletionAt: number | null
  readonly hasAccount: boolean
  readonly language?: Language | undefined
}

/** What this person was answered before, newest last; epoch ms. Held in memory, forgotten after an hour. */
export interface Talk { readonly answeredAt: readonly number[], readonly helpedAt: number, readonly loginAt: number }

export const NEW_TALK: Talk = { answeredAt: [], helpedAt: -Infinity, loginAt: -Infinity }

export type Reply =
  | { readonly kind: 'silence' }
  | { readonly kind: 'say', readonly key: string, readonly values?: Values }
  /** Have a new password set and sent. */
  | { readonly kind: 'login' }
  /** Have everything about this person's claims erased. */
  | { readonly kind: 'erase' }
export interface Values { readonly seconds?: number, readonly step?: string, readonly failure?: string, readonly time?: number }

const MINUTE = 60_000
const HOUR = 60 * MINUTE
export const LOGIN_GAP_MS = MINUTE
/** Two bots that answer each other stop here. */
const HELP_GAP_MS = 10 * MINUTE
const ANSWERS_PER_HOUR_MAX = 20

const WORDS: Readonly<Record<Exclude<Intent, 'other'>, readonly string[]>> = {
  status: ['status', 'cek', 'check'],
  login: ['sandi', 'kata sandi', 'password', 'pass', 'login', 'lupa sandi', 'lupa kata sandi', 'lupa password', 'reset', 'reset password', 'reset sandi'],
  // Only these, word for word: what they do cannot be undone.
  erase: ['hapus data', 'hapus data saya', 'hapus data aku', 'hapus dataku', 'hapus semua data', 'hapus semua data saya', 'delete my data', 'delete data', 'erase my data', 'delete all my data'],
  help: ['help', 'bantuan', 'bantu', 'menu', 'halo', 'hai', 'hi', 'hello', 'p', 'info'],
}
const ENGLISH = new Set(['password', 'pass', 'reset password', 'help', 'hi', 'hello', 'check', 'delete my data', 'delete data', 'erase my data', 'delete all my data'])

const plain = (text: string): string => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ').trim()

export function intentOf (text: string): Intent {
  const said = plain(text)
  for (const [intent, words] of Object.entries(WORDS) as [Exclude<Intent, 'other'>, readonly string[]][]) if (words.includes(said)) return intent
  // "sandi dong kak" means it; a whole sentence that happens to contain the word does not.
  const [first = ''] = said.split(' ')
  if (said.split(' ').length <= 4) for (const intent of ['status', 'login'] as const) if (WORDS[intent].includes(first)) return intent
  return 'other'
}

export function languageFor (text: string, claim: Claim | null): Language {
  return claim?.language ?? (ENGLISH.has(plain(text)) ? 'en' : 'id')
}

/**
 * `now` in epoch ms. The new talk is to be kept whatever the reply is. `isNamed`: WhatsApp showed the number of whoever writes, so that there is no
 * claim where none was found.
 */
export function replyTo (intent: Intent, claim: Claim | null, membership: Membership, talk: Talk, now: number, isNamed = true): { reply: Reply, talk: Talk } {
  const recent = talk.answeredAt.filter((at) => now - at < HOUR)
  const isStranger = claim === null && membership !== 'present'
  const silent = { reply: { kind: 'silence' }, talk: { ...talk, answeredAt: recent } } as const
  if (recent.length >= (isStranger ? 1 : ANSWERS_PER_HOUR_MAX)) return silent
  const next: Talk = { ...talk, answeredAt: [...recent, now] }
  const say = (key: string, values?: Values): { reply: Reply, talk: Talk } => ({ reply: { kind: 'say', key, ...(values === undefined ? {} : { values }) }, talk: next })

  // No oracle: WhatsApp vouches for the number, so everybody hears of themselves only.
  if (intent === 'erase' && claim === null && isNamed) return say(membership === 'present' ? 'erase_nothing_member' : 'erase_nothing')
  if (isStranger) return say(membership === 'absent' ? 'stranger' : 'unavailable')
  switch (intent) {
    case 'status':
      return statusOf(claim, say)
    case 'login': {
      if (!claim || isOver(claim.status)) return say('login_no_server')
      if (claim.status === 'creating') return say('login_not_yet')
      if (claim.deletionStarted || !claim.hasAccount) return say('login_too_late')
      const waitMs = talk.loginAt + LOGIN_GAP_MS - now
      if (waitMs > 0) return say('login_too_soon', { seconds: Math.ceil(waitMs / 1_000) })
      return { reply: { kind: 'login' }, talk: { ...next, loginAt: now } }
    }
    case 'erase':
      // Without a number nobody can be found, and nothing may be promised.
      if (!claim) return say('unavailable')
      return isOver(claim.status) ? { reply: { kind: 'erase' }, talk: next } : say('erase_has_server')
    case 'help':
    case 'other':
      // Asked for by name it always comes, otherwise once in a while.
      if (intent === 'other' && now - talk.helpedAt < HELP_GAP_MS) return silent
      return { ...say('help'), talk: { ...next, helpedAt: now } }
  }
}

function statusOf (claim: Claim | null, say: (key: string, values?: Values) => { reply: Reply, talk: Talk }): { reply: Reply, talk: Talk } {
  if (!claim) return say('status_none')
  switch (claim.status) {
    case 'creating': return say('status_creating', { step: claim.step ?? 'queued' })
    case 'active': return say('status_active')
    case 'failed': return say('status_failed', { failure: claim.failureCode ?? 'INTERNAL' })
    case 'deleting': return claim.deletionStarted || claim.deletionAt === null ? say('status_deleting_now') : say('status_deleting', { time: claim.deletionAt })
    case 'deleted': return say('status_deleted')
  }
}
