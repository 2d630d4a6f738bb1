// scripts/audit: what the npm registry knows against the production packages, less what was looked at and found not to touch Klaim.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'

const root = join(import.meta.dirname, '..')
const SEVERITIES = ['info', 'low', 'moderate', 'high', 'critical'] as const
/** From here up something has to be done. */
export const LEVEL: typeof SEVERITIES[number] = 'moderate'
const TIMEOUT_MS = 120_000
const OUTPUT_BYTES_MAX = 32 * 1024 * 1024
const [NOTHING_KNOWN, SOMETHING_TO_DO, NOT_TOLD] = [0, 1, 75]

/** scripts/audit-exceptions.json */
export const Exceptions = Type.Array(Type.Object({
  advisory: Type.String({ pattern: '^GHSA(-[a-z0-9]{4}){3}$' }),
  package: Type.String({ minLength: 1 }),
  /** Why Klaim is not touched: what it would take, and why that does not happen here. */
  reason: Type.String({ minLength: 20 }),
  /** The day on which it counts again. */
  until: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' }),
}, { additionalProperties: false }))
export type Exceptions = Static<typeof Exceptions>

/** What is read of `npm audit --json`. A package whose `via` are names is touched by those packages; an advisory is told once, where it is. */
export const Report = Type.Object({
  auditReportVersion: Type.Literal(2),
  vulnerabilities: Type.Record(Type.String(), Type.Object({
    via: Type.Array(Type.Union([Type.String(), Type.Object({ name: Type.String(), title: Type.String(), url: Type.String(), severity: Type.Enum([...SEVERITIES]), range: Type.String() })])),
  })),
})
export type Report = Static<typeof Report>

export interface Finding { readonly isFine: boolean, readonly text: string }

/** `today` as YYYY-MM-DD. */
export function judge (report: Report, exceptions: Exceptions, today: string): Finding[] {
  const unused = new Set(exceptions)
  const advisories = Object.values(report.vulnerabilities).flatMap(({ via }) => via.filter((each) => typeof each !== 'string'))
  const findings = advisories.map(({ name, title, url, severity, range }): Finding => {
    const text = `${name} ${range}: ${title} (${severity}, ${url})`
    if (SEVERITIES.indexOf(severity) < SEVERITIES.indexOf(LEVEL)) return { isFine: true, text }
    const exception = exceptions.find((each) => each.package === name && url.endsWith(`/${each.advisory}`))
    if (!exception) return { isFine: false, text }
    unused.delete(exception)
    const isOver = exception.until <= today
    return { isFine: !isOver, text: `${text}; ${isOver ? `its exception ran out on ${exception.until}` : `not until ${exception.until}`}: ${exception.reason}` }
  })
  return [...findings, ...[...unused].map((each): Finding => ({ isFine: false, text: `the exception of ${each.advisory} for ${each.package} is not needed any more` }))]
}

/** The registry's answer, or why there is none. */
function ask (): Report | string {
  const { stdout, error } = spawnSync('npm', ['audit', '--package-lock-only', '--omit=dev', '--json'], { cwd: root, encoding: 'utf8', timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX, stdio: ['ignore', 'pipe', 'ignore'] })
  if (error) return error.message
  try {
    const answer: unknown = JSON.parse(stdout)
    return Value.Check(Report, answer) ? answer : (answer as { message?: string }).message ?? 'npm audit answered in a form that this script does not know'
  } catch {
    return 'npm audit did not answer in JSON'
  }
}

if (import.meta.main) {
  const exceptions: unknown = JSON.parse(readFileSync(join(root, 'scripts/audit-exceptions.json'), 'utf8'))
  if (!Value.Check(Exceptions, exceptions)) throw new Error('scripts/audit-exceptions.json is not as it should be')
  const report = ask()
  if (typeof report === 'string') {
    console.error(`The npm registry did not say what it knows: ${report}\nNothing was looked at. Run this where the registry answers npm audit.`)
    process.exitCode = NOT_TOLD
  } else {
    const findings = judge(report, exceptions, new Date().toISOString().slice(0, 10))
    for (const { isFine, text } of findings) console.log(`${isFine ? '✓' : '✗'} ${text}`)
    const isFine = findings.every((each) => each.isFine)
    console.log(isFine ? `Nothing is known against the production packages from ${LEVEL} up that touches Klaim.` : 'Update the packages marked ✗, or say in scripts/audit-exceptions.json why they do not touch Klaim.')
    process.exitCode = isFine ? NOTHING_KNOWN : SOMETHING_TO_DO
  }
}
