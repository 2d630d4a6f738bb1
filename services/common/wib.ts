import type { Language } from '../../contracts/ids.ts'

const LOCALES: Readonly<Record<Language, string>> = { id: 'id-ID', en: 'en-GB' }

/**
 * Day, date and time in western Indonesia: "Senin, 23 November 2026 pukul 22.48 WIB". Seconds are cut, so a stated deadline is never later
 * than the real one.
 */
export function wib (date: Date, language: Language): string {
  return `${formatted(date, language, 'Asia/Jakarta')} WIB`
}

/** The same without a zone's name, in any zone. */
export function formatted (date: Date, language: Language, timeZone: string): string {
  // ICU separates some parts by no-break or narrow spaces, which vary between its versions and look odd in a chat.
  return formatOf(language, timeZone).format(date).replace(/[\u00a0\u202f]/g, ' ')
}

const formats = new Map<string, Intl.DateTimeFormat>()
function formatOf (language: Language, timeZone: string): Intl.DateTimeFormat {
  const key = `${language} ${timeZone}`
  let format = formats.get(key)
  if (!format) formats.set(key, format = new Intl.DateTimeFormat(LOCALES[language], { dateStyle: 'full', timeStyle: 'short', timeZone }))
  return format
}
