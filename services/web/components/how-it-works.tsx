import type { Say } from '../words.ts'
import { Out } from './brand.tsx'

const STEPS = ['form', 'build', 'login'] as const

export function HowItWorks ({ say, invite }: { say: Say, invite: string | undefined }) {
  return (
    <section className="how" aria-labelledby="how-title">
      <h2 id="how-title">{say('how_title')}</h2>
      <ol className="numbered">
        {STEPS.map((step) => <li key={step}><strong>{say(`how_${step}_title`)}</strong><span>{say(`how_${step}`)}</span></li>)}
      </ol>
      <p className="hint">{say('rule')}</p>
      {invite !== undefined && <p className="hint">{say('not_member_yet')} <Out href={invite}>{say('join_group')}</Out></p>}
    </section>
  )
}
