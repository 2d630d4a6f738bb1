import type { Metadata, Viewport } from 'next'
import type { Language } from '../../../contracts/ids.ts'
import { pageData } from './page-data.ts'

export function metadataOf (language: Language): Metadata {
  const { words } = pageData(language)
  return {
    title: `${words['page.form_title']} – ${words['page.name']}`,
    description: words['page.form_intro'] ?? null,
    icons: { icon: '/icon.svg' },
    robots: { index: false },
    referrer: 'no-referrer',
    formatDetection: { telephone: false },
  }
}

export const viewport: Viewport = {
  width: 'device-width', initialScale: 1, colorScheme: 'light dark',
  themeColor: [{ media: '(prefers-color-scheme: light)', color: '#f3f6f2' }, { media: '(prefers-color-scheme: dark)', color: '#0e1512' }],
}
