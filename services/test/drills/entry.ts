// An entry of the runbook's alerts, as somebody on call finds it: by the runbook_url of what woke them.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../../..')
const PARTS = ['Meaning', 'Impact', 'Data at risk', 'Brake', 'Diagnosis', 'Mitigation'] as const
export type Part = typeof PARTS[number]

/** With what a command of the runbook begins; whatever else stands in backticks is a name, a code or a number. */
const COMMAND = /^(?:curl|jq|nats|scripts\/[a-z-]+|timedatectl|dmesg|df|uptime|tail)\b/

export interface Entry {
  readonly alert: string
  readonly text: Readonly<Record<Part, string>>
  commands (part: Part): string[]
  /** The one command of a part that this fits. Throws where there is none: then the runbook does not say so. */
  command (part: Part, like: RegExp): string
}

/** A command that stands somewhere else in the runbook, below a bold title. Throws where there is none, or there are several. */
export function commandUnder (title: string, like: RegExp): string {
  const [, after = ''] = readFileSync(join(ROOT, 'RUNBOOK.md'), 'utf8').split(`**${title}**`)
  const [section = ''] = after.split(/\n\n/)
  const found = [...section.matchAll(/`([^`]+)`/g)].map(([, command = '']) => command).filter((command) => like.test(command))
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${title} has ${found.length} commands like ${like.source}`)
  return found[0]
}

/** Throws where the address leads nowhere, or to what is no entry. */
export function entryAt (runbookUrl: string): Entry {
  const [file = '', anchor = ''] = runbookUrl.split('#')
  const [, after] = readFileSync(join(ROOT, file), 'utf8').split(`<a id="${anchor}"></a>`)
  const [entry = ''] = after?.split('\n\n') ?? []
  const [, alert = ''] = /^\*\*(\w+)\*\*/.exec(entry) ?? []
  const text = Object.fromEntries([...entry.matchAll(/^- \*([A-Z][a-z ]+):\* (.+)$/gm)].map(([, part, words]) => [part, words])) as Record<Part, string>
  const missing = PARTS.filter((part) => !text[part])
  if (alert === '' || missing.length > 0) throw new Error(`${runbookUrl} leads to no entry of an alert${missing.length > 0 ? `: there is no ${missing.join(', no ')}` : ''}`)
  const commands = (part: Part): string[] => [...text[part].matchAll(/`([^`]+)`/g)].map(([, command = '']) => command).filter((command) => COMMAND.test(command))
  return {
    alert, text, commands,
    command: (part, like) => {
      const found = commands(part).filter((command) => like.test(command))
      if (found.length !== 1 || found[0] === undefined) throw new Error(`${alert}: ${part} has ${found.length} commands like ${like.source}`)
      return found[0]
    },
  }
}
