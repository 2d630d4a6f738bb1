// The full metadata (`max`) knows which numbers of a country exist, not only how long they are: a typing mistake is told to the visitor
// at once instead of as "not a member". It costs 150 kB in a process that has them once.
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'

const LENGTH_MAX = 32
/** A number copied from a contact brings invisible direction marks, and phones write spaces and dashes of many kinds. */
const INVISIBLE = /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g
const ALLOWED = /^\+?[\d\s().\-/]+$/

/**
 * The phone-number JID of a number as people type it: `0812…`, `62812…`, `+62 812…`, `0062 812…`, with spaces, dashes, dots and
 * parentheses; numbers of other countries with `+` and their country code. Undefined where there is no such number.
 * The JID is that of the number as dialled; WhatsApp's own may differ (Brazil, Mexico, Argentina), which the bot knows.
 */
export function waJidOf (typed: string): string | undefined {
  if (typed.length > LENGTH_MAX * 2) return undefined
  const text = typed.normalize('NFKC').replace(INVISIBLE, '').replace(/\p{Pd}/gu, '-').trim()
  if (text.length > LENGTH_MAX || !ALLOWED.test(text)) return undefined
  const number = parsePhoneNumberFromString(text.replace(/^00/, '+'), { defaultCountry: 'ID', extract: false })
  if (!number?.isValid()) return undefined
  return `${number.number.slice(1)}@s.whatsapp.net`
}
