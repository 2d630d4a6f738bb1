import type { Say } from '../words.ts'
import { Icon } from './brand.tsx'

/** A step that is named is under way, so those before it are behind us. */
export function Steps ({ say, steps, current }: { say: Say, steps: readonly string[], current: string }) {
  const at = Math.max(0, steps.indexOf(current))
  return (
    <ol className="steps" aria-label={say('progress_label')}>
      {steps.map((step, index) => {
        const state = index < at ? 'done' : index === at ? 'current' : 'waiting'
        return (
          <li key={step} className={state} aria-current={state === 'current' ? 'step' : undefined}>
            <span className="dot">{state === 'done' ? <Icon name="done" /> : <span aria-hidden="true">{index + 1}</span>}</span>
            <span className="step-name">{say(`step_${step}`)}<span className="hidden"> ({say(`state_${state}`)})</span></span>
            <span className="usual">{say(`usual_${step}`)}</span>
          </li>
        )
      })}
    </ol>
  )
}
