import type { Language } from '../../../contracts/ids.ts'
import { pageDataOf } from '../build-data.ts'
import type { PageData } from '../words.ts'

/** The settings of the build: `NEXT_PUBLIC_GATEWAY_URL` where another origin than the gateway's will serve the page. */
export function pageData (language: Language): PageData {
  return pageDataOf(language, process.env.KLAIM_ROOT ?? '.', (process.env.NEXT_PUBLIC_GATEWAY_URL ?? '').replace(/\/+$/, ''))
}
