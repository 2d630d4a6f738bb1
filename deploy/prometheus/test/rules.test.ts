import t from 'tap'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { metricsIn } from './metric-names.ts'
import { alertCases, caseFiles, ruleFiles, rules, run } from './promtool.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const alerts = rules.filter(({ alert }) => alert !== undefined)

/** It is made to fire always. */
const ALWAYS = 'Watchdog'
/** Not ours: every process of ours has it from prom-client, or Prometheus and Alertmanager say it of themselves. */
const NOT_OURS = ['up', 'process_start_time_seconds', 'alertmanager_notifications_failed_total']

const anchorOf = (alert: string): string => `alert-${alert.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()}`

t.test('the rules', async (t) => {
  const checked = run('PROMTOOL', 'check', 'rules', ...ruleFiles)
  t.equal(checked.status, 0, `are rules to promtool${checked.status === 0 ? '' : `: ${checked.said}`}`)
  const tested = run('PROMTOOL', 'test', 'rules', ...caseFiles)
  t.equal(tested.status, 0, `fire when they should and otherwise not${tested.status === 0 ? '' : `: ${tested.said}`}`)
})

t.test('every alert', async (t) => {
  t.ok(alerts.length > 25, 'there are alerts to look at')
  const names = alerts.map(({ alert = '' }) => alert)
  t.equal(new Set(names).size, names.length, 'has a name of its own')
  const runbook = textOf('RUNBOOK.md')
  for (const { alert = '', labels = {}, annotations = {} } of alerts) {
    t.match(labels['severity'], alert === ALWAYS ? /^none$/ : /^(page|ticket)$/, `${alert} says who has to act`)
    // On a phone, by night: one line, then at most a few.
    t.match(annotations['summary'], /^.{10,100}\.$/, `${alert} has one line that says what is wrong`)
    t.match(annotations['description'], /^.{40,300}\.$/, `${alert} has a few that say what it means`)
    t.equal(annotations['runbook_url'], `RUNBOOK.md#${anchorOf(alert)}`, `${alert} has its place in the runbook`)
    t.equal(runbook.split(`<a id="${anchorOf(alert)}"></a>`).length - 1, 1, `${alert} can be followed there`)
    const cases = alertCases.filter(({ alertname }) => alertname === alert)
    t.ok(cases.some(({ exp_alerts }) => exp_alerts.length > 0), `${alert} has a case in which it fires`)
    if (alert !== ALWAYS) t.ok(cases.some(({ exp_alerts }) => exp_alerts.length === 0), `${alert} has one in which it does not`)
  }
  t.same(alertCases.filter(({ alertname }) => !names.includes(alertname)), [], 'of those that have cases is there')
})

t.test('every metric that a rule asks for', async (t) => {
  t.same(metricsIn('max by (service) (abs(a_b{x="klaim_no"}[5m] offset 1d)) > 3 and on (job) sum(rate(c:d[1h])) or vector(0) unless up'), ['a_b', 'c:d', 'up'], 'is found')
  const documented = new Set([...textOf('docs/metrics.md').matchAll(/`(klaim_\w+)`/g)].map(([, name]) => name))
  const recorded = new Set(rules.map(({ record }) => record))
  const asked = [...new Set(rules.flatMap(({ expr }) => metricsIn(expr)))]
  t.ok(asked.length > 30, 'there are metrics to look at')
  const isKnown = (name: string): boolean => documented.has(name) || documented.has(name.replace(/_(bucket|count|sum)$/, '')) || recorded.has(name) || NOT_OURS.includes(name)
  t.same(asked.filter((name) => !isKnown(name)), [], 'stands in docs/metrics.md')
})
