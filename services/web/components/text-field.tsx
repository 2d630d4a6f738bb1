import type { InputHTMLAttributes } from 'react'
import { Icon } from './brand.tsx'

interface Props extends InputHTMLAttributes<HTMLInputElement> {
  readonly name: string
  readonly label: string
  readonly hint: string
  readonly error: string | undefined
  /** Good news about what was typed. */
  readonly note: string | undefined
}

/** The place below the input is kept, so that nothing jumps when a note comes. */
export function TextField ({ name, label, hint, error, note, ...input }: Props) {
  return (
    <div className={error === undefined ? 'field' : 'field wrong'}>
      <label htmlFor={name}>{label}</label>
      <p className="hint" id={`${name}-hint`}>{hint}</p>
      <input {...input} id={name} name={name} required aria-invalid={error === undefined ? undefined : true} aria-describedby={`${error === undefined ? `${name}-note` : `${name}-error`} ${name}-hint`} />
      {error === undefined
        ? <p className="note" id={`${name}-note`}>{note !== undefined && <><Icon name="done" />{note}</>}</p>
        : <p className="error" id={`${name}-error`}><Icon name="alert" />{error}</p>}
    </div>
  )
}
