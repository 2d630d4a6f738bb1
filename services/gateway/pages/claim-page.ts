import { isOver, STEPS } from '../../../contracts/codes.ts'
import type { ClaimProgress } from '../../../contracts/http.ts'
import type { Language } from '../../../contracts/ids.ts'
import type { Messages } from '../../common/phrases.ts'
import { LOOK_AGAIN_S } from '../claim-progress.ts'
import { html, type Html } from '../html.ts'
import { layout } from './layout.ts'

export interface ClaimPage {
  readonly messages: Messages
  readonly language: Language
  readonly progress: ClaimProgress
  readonly botNumber: string | undefined
}

/** A deletion takes hours to fall due, so its page looks less often. */
const LOOK_AGAIN_WHILE_DELETING_S = 10

type StepState = 'done' | 'current' | 'waiting'

export function claimPage ({ messages, language, progress, botNumber }: ClaimPage): Html {
  const { claim_id, status, message } = progress
  const say = (key: string): string => messages.say(language, `page.${key}`)
  const isMoving = status === 'creating' || status === 'deleting'
  return layout({
    messages, language, title: say('claim_title'), path: `/claim/${claim_id}`,
    refreshS: status === 'creating' ? LOOK_AGAIN_S : status === 'deleting' ? LOOK_AGAIN_WHILE_DELETING_S : undefined,
    main: html`
<h1>${say('claim_title')}</h1>
<p role="status" class="news ${status}">${message}</p>
${(status === 'creating' || status === 'active') && html`
<ol class="steps" aria-label="${say('progress_label')}">
${stepsOf(progress).map(({ name, state }) => html`<li class="${state}"${state === 'current' && html` aria-current="step"`}>${say(`step_${name}`)} <span class="state">(${say(`state_${state}`)})</span></li>
`)}</ol>`}
${isMoving && html`<p class="hint">${say('updates_itself')}</p>`}
${status === 'active' && botNumber !== undefined && html`<p><a href="https://wa.me/${botNumber}?text=SANDI" rel="noopener">${say('open_bot')}</a></p>`}
${isOver(status) && html`<p><a class="button" href="/?lang=${language}">${say('claim_again')}</a></p>`}
<p class="hint">${say('claim_number')}: <code>${claim_id}</code></p>`,
  })
}

/** The steps in order, and `done` at their end. A step that is named is under way, so those before it are behind us. */
export function stepsOf ({ status, step }: Pick<ClaimProgress, 'status' | 'step'>): Array<{ name: string, state: StepState }> {
  const names = [...STEPS, 'done']
  const current = status === 'active' ? names.length : Math.max(0, names.indexOf(step ?? 'queued'))
  return names.map((name, index) => ({ name, state: index < current ? 'done' : index === current ? 'current' : 'waiting' }))
}
