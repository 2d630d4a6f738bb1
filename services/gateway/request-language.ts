import type { FastifyRequest } from 'fastify'
import type { Language } from '../../contracts/ids.ts'
import { languageOf } from '../common/language.ts'

/** `?lang=` where the visitor chose, else what the browser prefers. */
export function requestLanguage (request: FastifyRequest): Language {
  return chosenLanguage(request) ?? languageOf(request.headers['accept-language'])
}

export function chosenLanguage (request: FastifyRequest): Language | undefined {
  const { lang } = (request.query ?? {}) as { lang?: unknown }
  return lang === 'id' || lang === 'en' ? lang : undefined
}
