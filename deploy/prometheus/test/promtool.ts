// The alerts as this repository has them, and Prometheus' own tools. scripts/test puts the tools where they are looked for here.
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'

/** The cases of the SLO take twenty seconds of processor time. */
const RUN_MS_MAX = 240_000

export const PROMETHEUS = resolve(import.meta.dirname, '..')

export interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}
interface RuleFile { readonly groups: ReadonlyArray<{ readonly rules: readonly Rule[] }> }
interface TestFile { readonly tests: ReadonlyArray<{ readonly alert_rule_test: readonly AlertCase[] }> }
export interface AlertCase { readonly alertname: string, readonly exp_alerts: readonly unknown[] }

export const ruleFiles = globSync('rules/*.yml', { cwd: PROMETHEUS }).toSorted()
export const caseFiles = globSync('tests/*.yml', { cwd: PROMETHEUS }).toSorted()

const parsed = (file: string): unknown => parse(readFileSync(join(PROMETHEUS, file), 'utf8'))
export const rules = ruleFiles.flatMap((file) => (parsed(file) as RuleFile).groups.flatMap((group) => group.rules))
export const alertCases = caseFiles.flatMap((file) => (parsed(file) as TestFile).tests.flatMap((test) => test.alert_rule_test))

/** `tool`: the variable by which scripts/test says where one is. */
export function run (tool: 'PROMTOOL' | 'AMTOOL', ...args: string[]): { status: number | null, said: string } {
  const { status, stdout, stderr, error } = spawnSync(process.env[tool] ?? tool.toLowerCase(), args, { cwd: PROMETHEUS, encoding: 'utf8', timeout: RUN_MS_MAX })
  return { status, said: `${stdout}${stderr}${error?.message ?? ''}` }
}
