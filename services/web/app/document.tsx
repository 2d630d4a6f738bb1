import type { ReactNode } from 'react'
import type { Language } from '../../../contracts/ids.ts'
import './style.css'

/**
 * Before anything is drawn: whoever comes back to a claim is not shown the form for a moment. It runs under the page's policy by its hash,
 * as every inline script does.
 */
const BEFORE_PAINT = "try{if(/[?&]claim=/.test(location.search)||localStorage.getItem('claim_id'))document.documentElement.dataset.resuming=''}catch{}"

export function Document ({ language, children }: { language: Language, children: ReactNode }) {
  return (
    <html lang={language} suppressHydrationWarning>
      <head><script dangerouslySetInnerHTML={{ __html: BEFORE_PAINT }} /></head>
      <body>{children}</body>
    </html>
  )
}
