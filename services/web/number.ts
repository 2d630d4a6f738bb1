// Loaded when somebody begins to type a number: what is known about the world's numbers is larger than the page.
import { parsePhoneNumberFromString } from 'libphonenumber-js/min'
import { typedNumber } from '../common/typed-number.ts'

/** The number as WhatsApp shows it, `+62 812-3456-7890`; undefined where it is none. The gateway, which knows more numbers, has the last word. */
export function shownNumber (typed: string): string | undefined {
  const text = typedNumber(typed)
  const number = text === undefined ? undefined : parsePhoneNumberFromString(text, { defaultCountry: 'ID', extract: false })
  return number?.isValid() === true ? number.formatInternational() : undefined
}
