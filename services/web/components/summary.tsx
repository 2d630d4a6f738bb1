import { useEffect, useRef, type ReactNode } from 'react'
import { Icon } from './brand.tsx'

export interface Problem { readonly words: string, readonly field?: string }

/** What stands in the way, with a way to each field. It takes the focus when it appears, which is how it is read out. */
export function Summary ({ title, problems, code, children }: { title: string, problems: readonly Problem[], code: string | undefined, children?: ReactNode }) {
  const section = useRef<HTMLElement>(null)
  useEffect(() => {
    section.current?.focus({ preventScroll: true })
    section.current?.scrollIntoView({ block: 'nearest' })
  }, [])
  return (
    <section className="summary" ref={section} tabIndex={-1} aria-labelledby="summary-title" data-code={code}>
      <h2 id="summary-title"><Icon name="alert" />{title}</h2>
      {problems.length === 1 && problems[0]?.field === undefined
        ? <p>{problems[0]?.words}</p>
        : <ul>{problems.map(({ words, field }) => <li key={words}>{field === undefined ? words : <a href={`#${field}`} onClick={(event) => { event.preventDefault(); document.getElementById(field)?.focus() }}>{words}</a>}</li>)}</ul>}
      {children}
    </section>
  )
}
