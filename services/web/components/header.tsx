import type { MouseEvent } from 'react'
import type { Language } from '../../../contracts/ids.ts'
import { claimInAddress } from '../controller.ts'
import { keepDraft } from '../draft.ts'
import type { Say } from '../words.ts'
import { Mark } from './brand.tsx'

const PLACES: Readonly<Record<Language, string>> = { id: '/?lang=id', en: '/en/' }

export function Header ({ say, language }: { say: Say, language: Language }) {
  const other: Language = language === 'id' ? 'en' : 'id'

  /** The other language shows the same claim, or the same half-filled form. */
  function takeAlong (event: MouseEvent<HTMLAnchorElement>): void {
    keepDraft()
    const address = new URL(PLACES[other], location.href)
    const claimId = claimInAddress()
    if (claimId !== undefined) address.searchParams.set('claim', claimId)
    event.currentTarget.href = address.href
  }

  return (
    <header>
      <span className="brand"><Mark /><span className="name">{say('name')}</span></span>
      <a className="language" href={PLACES[other]} lang={other} hrefLang={other} onClick={takeAlong}>{say('other_language')}</a>
    </header>
  )
}
