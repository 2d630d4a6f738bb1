// docs/drills.md: one row for each drill, whose words are the drill's own and whose figures are those of its last recorded run.
import { nameOf, type Drill, type Outcome } from './drill.ts'

const seconds = (ms: number | null): string => ms === null ? '–' : (ms / 1_000).toFixed(1)
const cell = (text: string): string => text.trim().replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '\\|').replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…')
const SHOWED_MAX = 120

const anchorOf = (alert: string): string => `alert-${alert.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()}`
const firstOf = ({ alert, variant }: Drill): string => `| [${alert}](../RUNBOOK.md#${anchorOf(alert)})${variant === undefined ? '' : ` (${variant})`} |`

/** What no run changes in a row. */
export function wordsOf (drill: Drill): { head: string, mitigation: string, again: string } {
  const { fault, nearest, mitigation } = drill
  return {
    head: `${firstOf(drill)} ${cell(fault)}${nearest === undefined ? '' : `. *Not quite the same: ${cell(nearest)}*`} |`,
    mitigation: cell(mitigation),
    again: `\`scripts/drill ${nameOf(drill)}\``,
  }
}

export function rowOf (drill: Drill, { firedMs, toldMs, chatMs, clearedMs, showed, problems }: Outcome): string {
  const { head, mitigation, again } = wordsOf(drill)
  const said = showed.length > SHOWED_MAX ? `${showed.slice(0, SHOWED_MAX)}…` : showed
  const why = drill.quietedBy === undefined ? drill.unsaid : `*${drill.quietedBy}* says it`
  const chat = chatMs !== null ? seconds(chatMs) : why === undefined ? '–' : `– (${cell(why)})`
  return `${head} ${[seconds(firedMs), seconds(toldMs), chat, problems.length > 0 ? `**not as it should be**: ${cell(problems.join('; '))}` : `\`${cell(said)}\``, mitigation, seconds(clearedMs), again].join(' | ')} |`
}

/** Of a drill that was not held to its end yet. */
export function rowWithout (drill: Drill): string {
  const { head, mitigation, again } = wordsOf(drill)
  return `${head} – | – | – | no figures yet | ${mitigation} | – | ${again} |`
}

/** The page with this row in the place of the one that was there, or at the end. */
export function recorded (page: string, drill: Drill, row: string): string {
  const lines = page.trimEnd().split('\n')
  const at = lines.findIndex((line) => line.startsWith(firstOf(drill)))
  if (at < 0) lines.push(row)
  else lines[at] = row
  return `${lines.join('\n')}\n`
}
