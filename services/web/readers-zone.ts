import type { Language } from '../../contracts/ids.ts'
import { formatted } from '../common/wib.ts'

const WIB_OFFSETS = ['GMT+7', 'WIB']

/** Day, date and time where the reader is, with the zone's name; undefined where clocks show the same as in western Indonesia. */
export function inReadersZone (date: Date, language: Language, timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone): string | undefined {
  const zone = zoneName(date, language, timeZone)
  if (WIB_OFFSETS.includes(zone) || zoneName(date, 'en', timeZone) === 'GMT+7') return undefined
  return `${formatted(date, language, timeZone)} ${zone}`
}

function zoneName (date: Date, language: Language, timeZone: string): string {
  return new Intl.DateTimeFormat(language === 'id' ? 'id-ID' : 'en-GB', { timeZone, timeZoneName: 'short' }).formatToParts(date).find(({ type }) => type === 'timeZoneName')?.value ?? timeZone
}
