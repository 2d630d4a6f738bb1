// The procedures of RUNBOOK.md as a test carries them out: the very commands, and the restarts that stand beside them.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')
/** Where the runbook's commands look for secrets. */
export const DIRECTORY = '/etc/klaim'

export interface Step {
  readonly text: string
  /** Absent where a person does something elsewhere. */
  readonly command: string | undefined
  readonly restarts: readonly string[]
}

/** The numbered steps below a bold title. */
export function procedure (title: string): Step[] {
  const runbook = readFileSync(join(ROOT, 'RUNBOOK.md'), 'utf8')
  const [, after = ''] = runbook.split(`**${title}**`)
  const [section = ''] = after.split(/^(?:\*\*|## |### )/m)
  return [...section.matchAll(/^\d+\. (.+)$/gm)].map(([, text = '']) => ({
    text,
    command: /^`([^`]+)`/.exec(text)?.[1],
    restarts: /then restart ([a-z, -]+)\./.exec(text)?.[1]?.split(', ') ?? [],
  }))
}
