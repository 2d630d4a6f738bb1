// Numbers and LIDs as WhatsApp knows them, asked as seldom as possible: many look-ups of strange numbers are what gets accounts banned.
import { transient } from '../common/fault.ts'
import type { Person } from './roster.ts'
import type { Link } from './whatsapp.ts'

export interface Numbers {
  /** As WhatsApp writes the number; null where it is not on WhatsApp. Transient Faults, WHATSAPP_LOOKUPS_SPENT among them. */
  canonical (digits: string): Promise<string | null>
  /** Asks WhatsApp even where a LID is remembered. `isAnew`: not even an answer of the last hour will do. */
  lidOf (phone: string, isAnew: boolean): Promise<string | null>
  /** Where to write to: number and, where there is one, LID. Null where the number is not on WhatsApp. */
  addressee (phone: string): Promise<Person | null>
}

export interface NumbersOptions {
  readonly link: () => Link | null
  /** LID of a number that the roster or an earlier message has shown. */
  readonly known: (phone: string) => string | undefined
  readonly perMinuteMax: number
  readonly now?: () => number
}

const CACHED_MAX = 5_000
const TTL_MS = 60 * 60_000
/** Somebody may install WhatsApp at any time. */
const TTL_MS_OF_NOTHING = 10 * 60_000

export function createNumbers ({ link, known, perMinuteMax, now = Date.now }: NumbersOptions): Numbers {
  const cache = new Map<string, { answer: string | null, until: number }>()
  let minute = { startedAt: 0, asked: 0 }

  async function cached (key: string, ask: (link: Link) => Promise<string | null>, { isAnew = false, isFree = false } = {}): Promise<string | null> {
    const hit = cache.get(key)
    if (hit && hit.until > now() && !isAnew) return hit.answer
    const open = link()
    if (!open) throw transient('WHATSAPP_CLOSED', 'not connected to WhatsApp')
    if (now() - minute.startedAt >= 60_000) minute = { startedAt: now(), asked: 0 }
    if (!isFree && ++minute.asked > perMinuteMax) throw transient('WHATSAPP_LOOKUPS_SPENT', 'too many numbers were looked up within a minute', { retryAfterMs: 60_000 })
    const answer = await ask(open)
    cache.delete(key)
    cache.set(key, { answer, until: now() + (answer === null ? TTL_MS_OF_NOTHING : TTL_MS) })
    if (cache.size > CACHED_MAX) cache.delete(cache.keys().next().value as string)
    return answer
  }

  return {
    canonical: async (digits) => known(digits) === undefined ? await cached(`number ${digits}`, async (link) => await link.canonical(digits)) : digits,
    lidOf: async (phone, isAnew) => await cached(`lid ${phone}`, async (link) => await link.lidOf(phone), { isAnew }),
    addressee: async (digits) => {
      const remembered = known(digits)
      if (remembered !== undefined) return { phone: digits, lid: remembered }
      // Whom we write to has asked us to; the pace of sending is limit enough.
      const phone = await cached(`number ${digits}`, async (link) => await link.canonical(digits), { isFree: true })
      if (phone === null) return null
      const lid = known(phone) ?? await cached(`lid ${phone}`, async (link) => await link.lidOf(phone), { isFree: true })
      return lid === null ? { phone } : { phone, lid }
    },
  }
}
