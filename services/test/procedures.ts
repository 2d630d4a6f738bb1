// The procedures of RUNBOOK.md as a test carries them out: the very commands, and the restarts that stand beside them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
/** Where the runbook's commands look for secrets. */
const DIRECTORY = '/etc/klaim'

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

/** The command as the runbook has it, with another directory of secrets; answers what it printed. Rejects where it fails. */
export async function carryOut (command: string, directory: string, { input = '', env = {} }: { input?: string, env?: Record<string, string> } = {}): Promise<string> {
  const [program = '', ...args] = command.replaceAll(DIRECTORY, directory).split(' ')
  const child = spawn(join(ROOT, program), args, { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env } })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => { output += chunk })
  child.stdin.end(input)
  const [code] = await once(child, 'close') as [number]
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${output}`)
  return output
}
