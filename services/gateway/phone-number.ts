// The full metadata (`max`) knows which numbers of a country exist, not only how long they are: a typing mistake is told to the visitor
// at once instead of as "not a member". It costs 150 kB in a process that has them once.
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import { typedNumber } from '../common/typed-number.ts'

/**
 * The phone-number JID of a number as people type it: `0812…`, `62812…`, `+62 812…`, `0062 812…`, with spaces, dashes, dots and
 * parentheses; numbers of other countries with `+` and their country code. Undefined where there is no such number.
 * The JID is that of the number as dialled; WhatsApp's own may differ (Brazil, Mexico, Argentina), which the bot knows.
 */
export function waJidOf (typed: string): string | undefined {
  const text = typedNumber(typed)
  if (text === undefined) return undefined
  const number = parsePhoneNumberFromString(text, { defaultCountry: 'ID', extract: false })
  if (!number?.isValid()) return undefined
  return `${number.number.slice(1)}@s.whatsapp.net`
}
