// The procedures of RUNBOOK.md as a test carries them out: the very commands, and the restarts that stand beside them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from './journey.ts'
import type { Call, Operator } from './operator.ts'
import { ROOT, runbook } from './runbook.ts'

/** Where the runbook's commands look for secrets. */
const DIRECTORY = '/etc/klaim'

export interface Step {
  readonly text: string
  /** Absent where a person does something elsewhere. */
  readonly command: string | undefined
  readonly restarts: readonly string[]
}

/** Commands of procedures that a test walks and has not come to yet. Whoever begins one has to come to its end. */
const begun = new Set<string>()
const outstanding = new Set<string>()
process.once('exit', () => {
  if (outstanding.size === 0) return
  process.stderr.write(`steps of RUNBOOK.md that were passed over:\n  ${[...outstanding].join('\n  ')}\n`)
  process.exitCode ||= 1
})

/** The numbered steps below a bold title. */
export function procedure (title: string): Step[] {
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

/** Carries one step out as an operator does, and answers what was said. `prints`: what it has to say in the end; a person looks again until it does. */
export type Walk = (t: Test, step: number, look?: Call & { readonly prints?: RegExp, readonly code?: number }) => Promise<string>

/** For going through the steps of a procedure; what has no command is done by the test itself, between them. */
export function walk (title: string, operator: Operator): Walk {
  const steps = procedure(title)
  if (steps.length < 2) throw new Error(`RUNBOOK.md has no steps for: ${title}`)
  const nameOf = (command: string): string => `${title} ${command}`
  if (!begun.has(title)) for (const { command } of steps) if (command !== undefined) outstanding.add(nameOf(command))
  begun.add(title)
  return async (t, step, { prints, code = 0, ...call } = {}) => {
    const { command } = steps[step - 1] ?? {}
    if (command === undefined) throw new Error(`${title} has no command in step ${step}`)
    let last = { code: null as number | null, said: '' }
    const seen = await until(`${title} ${step}`, async () => {
      last = await operator.run(command, call)
      return last.code === code && (prints === undefined || prints.test(last.said)) ? last : undefined
    }, { everyMs: 500 }).catch(() => undefined)
    if (seen) t.pass(`${title} ${step}. ${command}`)
    else t.fail(`${title} ${step}. ${command}`, { code: last.code, said: last.said })
    outstanding.delete(nameOf(command))
    return last.said
  }
}
