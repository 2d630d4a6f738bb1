import type { Language } from '../../../contracts/ids.ts'
import { wib } from '../../common/wib.ts'
import type { Controller } from '../controller.ts'
import { isLate, type State } from '../machine.ts'
import { inReadersZone } from '../readers-zone.ts'
import type { Offer, Say } from '../words.ts'
import { Icon, Out } from './brand.tsx'
import type { Links } from './claim-app.tsx'
import { Steps } from './steps.tsx'

interface Props {
  readonly say: Say, readonly language: Language, readonly state: State, readonly steps: readonly string[], readonly offers: readonly Offer[], readonly links: Links
  readonly controller: Controller
}

export function ClaimView ({ say, language, state, steps, offers, links, controller }: Props) {
  const progress = 'progress' in state ? state.progress : undefined
  const claimId = 'claimId' in state ? state.claimId : ''
  const offer = offers.find(({ name }) => name === progress?.template)
  return (
    <div className="claim-view">
      {state.name === 'PROCESSING' && state.notice !== undefined && <Notice say={say} code={state.notice.code} words={state.notice.message} />}
      <section className="card">
        {state.name === 'PROCESSING' && (progress?.status === 'deleting' ? <Deleting say={say} language={language} progress={progress} links={links} /> : <Making say={say} state={state} steps={steps} />)}
        {state.name === 'SUCCESS' && <Ready say={say} links={links} />}
        {state.name === 'ERROR' && <Ended say={say} state={state} links={links} onAgain={controller.startOver} />}
        {progress !== undefined && (
          <details key={state.name}>
            <summary>{say('details')}</summary>
            <dl>
              {offer !== undefined && <><dt>{say('server_kind')}</dt><dd>{offer.title}</dd></>}
              <dt>{say('claimed_at')}</dt><dd>{wib(new Date(progress.created_at), language)}</dd>
              <dt>{say('claim_number')}</dt><dd><code>{claimId}</code></dd>
              {progress.failure_code !== undefined && <><dt>{say('code')}</dt><dd><code>{progress.failure_code}</code></dd></>}
            </dl>
          </details>
        )}
      </section>
      {state.name !== 'ERROR' && <p className="aside"><button type="button" className="plain" onClick={controller.startOver}>{say('other_claim')}</button></p>}
    </div>
  )
}

function Notice ({ say, code, words }: { say: Say, code: string, words: string }) {
  return (
    <section className="notice" aria-labelledby="notice-title" data-code={code}>
      <h2 id="notice-title"><Icon name="alert" />{say(`problem_${code}`)}</h2>
      <p>{words}</p>
    </section>
  )
}

function Head ({ tone, icon, title, words }: { tone: 'moving' | 'good' | 'wary' | 'bad', icon: Parameters<typeof Icon>[0]['name'] | undefined, title: string, words: string }) {
  return (
    <div className={`head ${tone}`}>
      <span className="badge">{icon === undefined ? <span className="spinner" aria-hidden="true" /> : <Icon name={icon} />}</span>
      <h1 tabIndex={-1}>{title}</h1>
      <p className="lead">{words}</p>
    </div>
  )
}

function Making ({ say, state, steps }: { say: Say, state: Extract<State, { name: 'PROCESSING' }>, steps: readonly string[] }) {
  const { progress, failures } = state
  const isSlow = isLate(state, Date.now())
  // A claim that was made here a moment ago is surely at its first step; of others nothing is known yet.
  if (progress === undefined && !isSlow && state.isNew !== true) return <Head tone="moving" icon={undefined} title={say('loading_title')} words={failures > 1 ? say('reconnecting') : ''} />
  return (
    <>
      <Head tone={isSlow ? 'wary' : 'moving'} icon={isSlow ? 'clock' : undefined} title={say(isSlow ? 'progress_late_title' : 'progress_title')} words={isSlow ? say('statuses.late') : progress?.message ?? say('statuses.creating')} />
      {failures > 1 && <p className="strip">{say('reconnecting')}</p>}
      <Steps say={say} steps={steps} current={progress?.step ?? 'queued'} />
      {!isSlow && <p className="promise">{say('close_page')}</p>}
    </>
  )
}

function Ready ({ say, links }: { say: Say, links: Links }) {
  return (
    <>
      <Head tone="good" icon="done" title={say('active_title')} words={say('next_chat')} />
      <h2>{say('next_title')}</h2>
      <ol className="numbered">
        <li><strong>{say('next_chat_title')}</strong><span>{say('how_login')}</span>
          {links.bot !== undefined && <Out href={links.bot} className="button">{say('open_bot')}</Out>}</li>
        <li><strong>{say('next_panel_title')}</strong><span>{say('next_panel')}</span>
          {links.panel !== undefined && <Out href={links.panel} className="button second">{say('open_panel')}</Out>}</li>
        <li><strong>{say('next_upload_title')}</strong><span>{say('next_upload')}</span></li>
      </ol>
    </>
  )
}

function Deleting ({ say, language, progress, links }: { say: Say, language: Language, progress: NonNullable<Extract<State, { name: 'PROCESSING' }>['progress']>, links: Links }) {
  const local = progress.deletion_scheduled_at === undefined ? undefined : inReadersZone(new Date(progress.deletion_scheduled_at), language)
  return (
    <>
      <Head tone="wary" icon="clock" title={say('deleting_title')} words={progress.message} />
      {local !== undefined && <p>{say('deleting_local', { time: local })}</p>}
      {progress.deletion_scheduled_at !== undefined && <p>{say('deleting_what')}</p>}
      <p className="actions">
        {links.group !== undefined && <Out href={links.group} className="button">{say('join_group')}</Out>}
        {links.panel !== undefined && <Out href={links.panel} className="button second">{say('open_panel')}</Out>}
      </p>
    </>
  )
}

function Ended ({ say, state, links, onAgain }: { say: Say, state: Extract<State, { name: 'ERROR' }>, links: Links, onAgain: () => void }) {
  const progress = state.of === 'claim' ? state.progress : undefined
  const isFailed = progress?.status === 'failed'
  return (
    <>
      <Head tone={isFailed ? 'bad' : 'wary'} icon={isFailed ? 'cross' : 'alert'} title={say(progress === undefined ? 'not_found_title' : isFailed ? 'failed_title' : 'deleted_title')} words={progress?.message ?? say('errors.NOT_FOUND')} />
      {isFailed && <p>{say('failed_clean')}</p>}
      <p className="actions">
        <button type="button" className="button" onClick={onAgain}>{say(progress === undefined ? 'home' : 'claim_again')}</button>
        {progress?.status === 'deleted' && links.group !== undefined && <Out href={links.group} className="button second">{say('join_group')}</Out>}
      </p>
    </>
  )
}
