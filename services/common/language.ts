import type { Language } from '../../contracts/ids.ts'

/** Indonesian unless the caller prefers English (RFC 9110 Accept-Language, quality values honoured). */
export function languageOf (acceptLanguage: string | undefined): Language {
  let best: { language: Language, quality: number } = { language: 'id', quality: 0 }
  for (const range of (acceptLanguage ?? '').slice(0, 200).split(',')) {
    const [tag = '', ...parameters] = range.trim().toLowerCase().split(';')
    const language = tag.startsWith('id') ? 'id' : tag.startsWith('en') ? 'en' : undefined
    const quality = Number(parameters.find((parameter) => parameter.trim().startsWith('q='))?.trim().slice(2) ?? 1)
    if (language && quality > best.quality) best = { language, quality }
  }
  return best.language
}
