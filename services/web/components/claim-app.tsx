'use client'
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { TemplateOffers } from '../../../contracts/http.ts'
import { createClaimClient } from '../claim-client.ts'
import { createController } from '../controller.ts'
import { IDLE, isLate, type State } from '../machine.ts'
import { sayOf, type PageData, type Say } from '../words.ts'
import { Header } from './header.tsx'
import { ClaimView } from './claim-view.tsx'
import { FormView } from './form-view.tsx'
import { useOnline } from './use-online.ts'

export type Links = NonNullable<TemplateOffers['links']>

export function ClaimApp ({ data }: { data: PageData }) {
  const { language, gatewayUrl, words } = data
  const say = useMemo(() => sayOf(words), [words])
  const client = useMemo(() => createClaimClient(gatewayUrl, language), [gatewayUrl, language])
  const controller = useMemo(() => createController(client), [client])
  const state = useSyncExternalStore(controller.subscribe, controller.state, () => IDLE)
  const isOnline = useOnline()
  const [{ offers, links }, setOffers] = useState<{ offers: PageData['offers'], links: Links }>({ offers: data.offers, links: {} })
  const main = useRef<HTMLElement>(null)

  useEffect(() => {
    const stop = controller.start()
    // From here on React decides what is shown.
    delete document.documentElement.dataset['resuming']
    void client.offers().then((answer) => {
      if (answer) setOffers({ offers: answer.templates, links: answer.links ?? {} })
    })
    return stop
  }, [controller, client])

  const isForm = state.name === 'IDLE' || state.name === 'SUBMITTING' || (state.name === 'ERROR' && state.of === 'form')
  const wasForm = useRef(true)
  useEffect(() => {
    if (isForm === wasForm.current) return
    wasForm.current = isForm
    // Another view: read it from its beginning.
    scrollTo(0, 0)
    main.current?.querySelector('h1')?.focus({ preventScroll: true })
  }, [isForm])

  const title = titleOf(state, say)
  useEffect(() => { document.title = `${title} – ${say('name')}` }, [title, say])

  return (
    <>
      <a className="skip" href="#main">{say('skip')}</a>
      <Header say={say} language={language} />
      <main id="main" ref={main}>
        <p role="status" className="hidden">{isOnline ? announcementOf(state, say) : say('offline')}</p>
        {!isOnline && <p className="strip">{say('offline')}</p>}
        {isForm
          ? <FormView say={say} state={state} data={data} offers={offers} links={links} controller={controller} />
          : <ClaimView say={say} language={language} state={state} steps={data.steps} offers={offers} links={links} controller={controller} />}
      </main>
    </>
  )
}

function titleOf (state: State, say: Say): string {
  switch (state.name) {
    case 'IDLE': case 'SUBMITTING': return say('form_title')
    case 'PROCESSING': return say(state.progress?.status === 'deleting' ? 'deleting_title' : 'progress_title')
    case 'SUCCESS': return say('active_title')
    case 'ERROR':
      if (state.of === 'form') return `${say('error_title')}: ${say('form_title')}`
      return say(state.progress === undefined ? 'not_found_title' : state.progress.status === 'failed' ? 'failed_title' : 'deleted_title')
  }
}

/** Changes of steps and of views, once each; what has the focus is read by itself. */
function announcementOf (state: State, say: Say): string {
  switch (state.name) {
    case 'IDLE': return ''
    case 'SUBMITTING': return say(state.attempt === 1 ? 'submitting' : 'submitting_again')
    case 'PROCESSING': return isLate(state, Date.now()) ? say('statuses.late') : state.failures > 1 ? say('reconnecting') : state.progress?.message ?? ''
    case 'SUCCESS': return state.progress.message
    case 'ERROR': return state.of === 'claim' ? state.progress?.message ?? say('errors.NOT_FOUND') : ''
  }
}
