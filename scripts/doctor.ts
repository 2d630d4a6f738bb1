// scripts/doctor: may Klaim go live, or stay live? What is looked at is listed in scripts/doctoring/checks.ts.
import { anchorOf, type Check } from './doctoring/check.ts'
import { CHECKS, meantBy } from './doctoring/checks.ts'
import { examine, type Result } from './doctoring/examine.ts'
import { Settings } from './doctoring/settings.ts'
import { openWorld } from './doctoring/world.ts'
import { settingsOf } from './operating/operator.ts'
import { json, type Option, CalledWrongly } from './operating/options.ts'
import { command, EXIT, runScript } from './operating/program.ts'

const MARKS = { ok: '✓', no: '✗', unknown: '✗', left_out: '–' } as const
const NAME_WIDTH = Math.max(...CHECKS.map(({ name }) => name.length))

const without: Option<ReadonlySet<Check>> = {
  takes: '<checks>', says: 'leaves these out, by comma', isRequired: false,
  read: (given) => {
    const meant = typeof given === 'string' ? given.split(',').map((word) => meantBy(word.trim())) : []
    if (meant.some((checks) => checks.length === 0)) throw new CalledWrongly('names checks, or the word before the dash of several, by comma')
    return new Set(meant.flat())
  },
}

export const doctor = command({
  name: 'doctor', summary: 'whether all is well for going live: a line for each check, with its place in RUNBOOK.md; changes nothing',
  details: [`Checks: ${CHECKS.map(({ name }) => name).join(', ')}`, 'What cannot be looked at, because a setting is missing, is no go as well. config/.env.example has the settings.'],
  options: { without, ...json }, exits: { [EXIT.no]: 'no go' },
  async run (call) {
    const opened = openWorld(settingsOf(Settings, call.env), () => new Date())
    const results: Result[] = []
    for await (const result of examine(CHECKS, opened.world, call.options.without)) {
      results.push(result)
      call.tell(objectOf(result), ...linesOf(result))
    }
    const bad = results.filter(({ finding: { verdict } }) => verdict === 'no' || verdict === 'unknown').map(({ check: { name } }) => name)
    const leftOut = results.filter(({ finding: { verdict } }) => verdict === 'left_out').map(({ check: { name } }) => name)
    call.tell({ go: bad.length === 0, bad, left_out: leftOut }, verdictOf(results.length, bad, leftOut))
    const isNatsThere = await opened.world.nats().then(() => true, () => false)
    await opened.close()
    return isNatsThere ? bad.length === 0 ? EXIT.done : EXIT.no : EXIT.unavailable
  },
})

function linesOf ({ check: { name }, finding: { verdict, text, remarks, todo } }: Result): string[] {
  return [
    `${MARKS[verdict]} ${name.padEnd(NAME_WIDTH)}  ${text}  (${anchorOf(name)})`,
    ...remarks.map((remark) => `    remark: ${remark}`),
    ...(todo === undefined ? [] : [`    → ${todo}`]),
  ]
}

const objectOf = ({ check: { name }, finding: { verdict, text, remarks, todo } }: Result): Record<string, unknown> =>
  ({ check: name, verdict, finding: text, remarks, todo: todo ?? null, runbook: anchorOf(name) })

function verdictOf (all: number, bad: readonly string[], leftOut: readonly string[]): string {
  const without = leftOut.length > 0 ? `, without ${leftOut.join(', ')}` : ''
  return bad.length === 0 ? `Go${without}.` : `No go: ${bad.length} of ${all}${without}: ${bad.join(', ')}.`
}

if (import.meta.main) await runScript('scripts/doctor', doctor)
