import type { ReactNode } from 'react'

/** The mark: a K whose arm is a tick. */
export function Mark () {
  return (
    <svg className="mark" viewBox="0 0 32 32" width="36" height="36" aria-hidden="true" focusable="false">
      <rect className="mark-ground" width="32" height="32" rx="9" />
      <path className="mark-line" d="M10.5 8v16M21.5 8.5l-7.5 7.5 3 3 5-5M17 19l4.5 5" />
    </svg>
  )
}

const PATHS = {
  done: 'M5 12.5l4.5 4.5L19 7.5',
  cross: 'M7 7l10 10M17 7L7 17',
  alert: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7.5v5.5M12 16.4v.2',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7.5V12l3 2',
  arrow: 'M5 12h14M13 6l6 6-6 6',
} as const

export function Icon ({ name }: { name: keyof typeof PATHS }) {
  return <svg className="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false"><path d={PATHS[name]} /></svg>
}

/** A link out of the page; the other side is not told where the visitor came from. */
export function Out ({ href, className, children }: { href: string, className?: string, children: ReactNode }) {
  return <a href={href} className={className} target="_blank" rel="noopener noreferrer">{children}</a>
}
