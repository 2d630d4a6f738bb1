import { useEffect, useRef, useState, type FormEvent } from 'react'
import type { Controller } from '../controller.ts'
import { takeDraft } from '../draft.ts'
import type { Form, State } from '../machine.ts'
import { CODES, FIELDS, fits, wrongFields, type Field } from '../validation.ts'
import type { Offer, PageData, Say } from '../words.ts'
import { afterPress } from './after-press.ts'
import { Icon, Out } from './brand.tsx'
import type { Links } from './claim-app.tsx'
import { HowItWorks } from './how-it-works.tsx'
import { Summary, type Problem } from './summary.tsx'
import { TextField } from './text-field.tsx'
import { useSeconds } from './use-seconds.ts'

interface Props { readonly say: Say, readonly state: State, readonly data: PageData, readonly offers: readonly Offer[], readonly links: Links, readonly controller: Controller }
type ShownNumber = (typed: string) => string | undefined

/** The inputs belong to the browser: what somebody typed before the script came stays, and without a script the form is sent as it is. */
export function FormView ({ say, state, data, offers, links, controller }: Props) {
  const { language, gatewayUrl, schemas } = data
  const form = useRef<HTMLFormElement>(null)
  const [values, setValues] = useState<Form>({ wa_number_e164: '', username: '', template: offers[0]?.name ?? '' })
  const [left, setLeft] = useState<ReadonlySet<Field>>(new Set())
  const [refusedHere, setRefusedHere] = useState<{ fields: readonly Field[], count: number }>({ fields: [], count: 0 })
  const [remembered, setRemembered] = useState<string>()
  const [shownNumber, setShownNumber] = useState<{ of: ShownNumber }>()
  const failure = state.name === 'ERROR' && state.of === 'form' ? state : undefined
  const waitS = useSeconds(failure?.retryAtMs)
  const isSubmitting = state.name === 'SUBMITTING'

  const read = (): Form => {
    const data = new FormData(form.current ?? undefined)
    const text = (name: Field): string => {
      const value = data.get(name)
      return typeof value === 'string' ? value.trim() : ''
    }
    return { wa_number_e164: text('wa_number_e164'), username: text('username'), template: text('template') }
  }
  const loadNumbers = (): void => {
    if (!shownNumber) void import('../number.ts').then(({ shownNumber }) => { setShownNumber({ of: shownNumber }) }, () => { /* The gateway tells. */ })
  }

  useEffect(() => {
    const draft = takeDraft()
    for (const name of ['wa_number_e164', 'username'] as const) {
      const input = form.current?.elements.namedItem(name)
      const kept = draft[name] ?? (failure ?? undefined)?.form[name]
      if (input instanceof HTMLInputElement && input.value === '' && kept !== undefined && kept !== '') input.value = kept
    }
    for (const radio of form.current?.querySelectorAll<HTMLInputElement>('[name=template]') ?? []) if (radio.value === draft.template) radio.checked = true
    setRemembered(controller.remembered())
    const filled = read()
    setValues(filled)
    if (filled.wa_number_e164 !== '') loadNumbers()
    // Once, when the form appears.
  }, [])

  const number = shownNumber?.of(values.wa_number_e164)
  const isNumber = shownNumber === undefined ? undefined : number !== undefined
  const wrongNow = wrongFields(values, schemas, offers.map(({ name }) => name), isNumber)
  const isTold = (field: Field): boolean => refusedHere.fields.includes(field) || (left.has(field) && values[field] !== '')
  const errorOf = (field: Field): string | undefined => {
    if (wrongNow.includes(field)) return isTold(field) ? say(`errors.${CODES[field]}`) : undefined
    return failure?.field === field && failure.form[field] === values[field] ? failure.message : undefined
  }

  function submit (event: FormEvent): void {
    event.preventDefault()
    if (isSubmitting || waitS > 0) return
    const filled = read()
    setValues(filled)
    const wrong = wrongFields(filled, schemas, offers.map(({ name }) => name), shownNumber === undefined ? undefined : shownNumber.of(filled.wa_number_e164) !== undefined)
    setRefusedHere(({ count }) => ({ fields: wrong, count: count + 1 }))
    if (wrong.length === 0) controller.submit(filled)
  }

  const problems: Problem[] = refusedHere.fields.length > 0
    ? FIELDS.filter((field) => refusedHere.fields.includes(field) && wrongNow.includes(field)).map((field) => ({ field: inputOf(field, offers), words: say(`problem_${CODES[field]}`) }))
    : failure
      ? [{ words: failure.message ?? say(failure.code === 'UNREACHABLE' ? 'unreachable' : 'errors.INTERNAL'), ...(isField(failure.field) ? { field: inputOf(failure.field, offers) } : {}) }]
      : []
  const summaryTitle = refusedHere.fields.length > 0 || !failure ? say('summary_title') : say(`problem_${failure.code}`)

  return (
    <div className="columns form-view">
      <div className="intro">
        <p className="eyebrow">{say('eyebrow')}</p>
        <h1 tabIndex={-1}>{say('form_title')}</h1>
        <p className="lead">{say('form_intro')}</p>
      </div>
      <div className="panel">
        {remembered !== undefined && problems.length === 0 && (
          <p className="strip">{say('running_title')} <a href={`?claim=${remembered}`} onClick={(event) => { event.preventDefault(); controller.resume(remembered) }}>{say('see_claim')}</a></p>
        )}
        {problems.length > 0 && !isSubmitting && (
          <Summary key={`${refusedHere.count} ${failure?.retryAtMs ?? ''}`} title={summaryTitle} problems={problems} code={refusedHere.fields.length > 0 ? undefined : failure?.code}>
            {failure?.code === 'NOT_MEMBER' && links.group !== undefined && <p><Out href={links.group} className="button second">{say('join_group')}</Out></p>}
          </Summary>
        )}
        <form ref={form} className="card" method="post" action={`${gatewayUrl}/?lang=${language}`} noValidate onSubmit={submit} aria-busy={isSubmitting}
          onInput={() => { setValues(read()) }} onFocus={(event) => { if (nameOf(event.target) === 'wa_number_e164') loadNumbers() }}
          onBlur={(event) => { const name = nameOf(event.target); if (isField(name)) afterPress(() => { setLeft((fields) => new Set([...fields, name])) }) }}>
          <TextField name="wa_number_e164" label={say('number_label')} hint={say('number_hint')} error={errorOf('wa_number_e164')}
            note={number === undefined ? undefined : say('number_shown', { number })} type="tel" inputMode="tel" autoComplete="tel" maxLength={schemas.wa_number_e164.maxLength} />
          <TextField name="username" label={say('username_label')} hint={say('username_hint')} error={errorOf('username')}
            note={fits(schemas.username, values.username) ? say('username_fine') : undefined} type="text" autoComplete="username" autoCapitalize="none" spellCheck={false}
            minLength={schemas.username.minLength} maxLength={schemas.username.maxLength} />
          <fieldset aria-describedby={errorOf('template') === undefined ? undefined : 'template-error'}>
            <legend>{say('template_label')}</legend>
            {errorOf('template') !== undefined && <p className="error" id="template-error"><Icon name="alert" />{errorOf('template')}</p>}
            <div className="choices">
              {offers.map(({ name, title, description }, index) => (
                <label key={name} className="choice">
                  <input type="radio" id={`template-${name}`} name="template" value={name} required defaultChecked={index === 0} aria-describedby={`template-${name}-description`} />
                  <span className="choice-title">{title}</span>
                  <span className="choice-text" id={`template-${name}-description`}>{description}</span>
                </label>
              ))}
            </div>
          </fieldset>
          <button type="submit" className="button wide" aria-disabled={isSubmitting || waitS > 0}>
            {isSubmitting
              ? <><span className="spinner" aria-hidden="true" />{say(state.attempt === 1 ? 'submitting' : 'submitting_again')}</>
              : waitS > 0 ? say('try_again_in', { seconds: waitS }) : failure ? say('try_again') : <>{say('submit')}<Icon name="arrow" /></>}
          </button>
          <p className="hint small">{say('password_note')}</p>
          <p className="hint small">{say('privacy_note')}</p>
        </form>
      </div>
      <HowItWorks say={say} invite={links.group} />
    </div>
  )
}

const nameOf = (target: EventTarget): string | undefined => target instanceof HTMLInputElement ? target.name : undefined
const isField = (name: string | undefined): name is Field => FIELDS.some((field) => field === name)
const inputOf = (field: Field, offers: readonly Offer[]): string => field === 'template' ? `template-${offers[0]?.name ?? ''}` : field
