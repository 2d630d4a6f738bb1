// Alerts that fire in the running system because what they are for has happened, and are ended as the runbook says. Some of each kind here; scripts/drill holds all.
import t from 'tap'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'
import { hurried, msOf } from '../../deploy/prometheus/test/hurry.ts'
import { PROMETHEUS, ruleFiles, rules } from '../../deploy/prometheus/test/promtool.ts'
import { scratch } from '../common/test/scratch.ts'
import { nameOf } from './drills/drill.ts'
import { DRILLS } from './drills/drills.ts'
import { entryAt } from './drills/entry.ts'
import { recorded, rowOf, wordsOf } from './drills/page.ts'
import { runDrills } from './drills/run.ts'

const FACTOR = 60
/** A service, a message, the bot's account, a crowd, the panel. */
const HELD = ['ServiceDown', 'DeadLetters', 'BotLoggedOut', 'BrakeTripped', 'PanelDown:503']
const page = readFileSync(resolve(import.meta.dirname, '../../docs/drills.md'), 'utf8')

interface TimedRule { readonly alert?: string, readonly expr: string, readonly for?: string }
const rulesIn = (text: string): TimedRule[] => (parse(text) as { groups: Array<{ rules: TimedRule[] }> }).groups.flatMap((group) => group.rules)

t.test('rules in a hurry', async (t) => {
  for (const file of ruleFiles) {
    const text = readFileSync(join(PROMETHEUS, file), 'utf8')
    t.equal(hurried(text, 1), text, `${file} is as it stands where there is none`)
    const [before, after] = [rulesIn(text), rulesIn(hurried(text, FACTOR))]
    t.same(after.map(({ for: waits }) => waits === undefined ? 0 : msOf(waits)), before.map(({ for: waits }) => waits === undefined ? 0 : msOf(waits) / FACTOR), 'waits a sixtieth')
    // Ranges are numbers of milliseconds; an age keeps its number, and is divided beside it.
    const bare = (expr: string): string => expr.replaceAll(/(?<=\[|offset )\w+/g, (duration) => `${msOf(duration)}`).replaceAll(' / 60', '')
    const divided = (expr: string): string => expr.replaceAll(/(?<=\[|offset )\w+/g, (duration) => `${msOf(duration) / FACTOR}`)
    t.same(after.map(({ expr }) => bare(expr)), before.map(({ expr }) => divided(expr)), 'looks back a sixtieth, and asks for the same otherwise')
  }
  const aged = ruleFiles.flatMap((file) => rulesIn(hurried(readFileSync(join(PROMETHEUS, file), 'utf8'), FACTOR))).flatMap(({ alert = '', expr }) => expr.includes(' / 60') ? [alert] : [])
  t.same(aged.toSorted(), ['AllocationsRunningLow', 'AllocationsRunningOut', 'BackupStale', 'BotDeaf', 'ClaimsStuck', 'DeletionOfPresentMember', 'MessagesStuck', 'ReaperOverdue'], 'ages are those of these alerts')
})

t.test('every alert', async (t) => {
  const names = DRILLS.map(nameOf)
  t.equal(new Set(names).size, names.length, 'has drills that can be told apart')
  for (const { alert, annotations } of rules.filter((rule) => rule.alert !== undefined)) {
    t.ok(DRILLS.some((drill) => drill.alert === alert), `${alert} has one`)
    t.equal(entryAt(annotations?.['runbook_url'] ?? '').alert, alert, 'whose entry can be read')
  }
  const rows = page.split('\n')
  for (const drill of DRILLS) {
    const { head, mitigation, again } = wordsOf(drill)
    const row = rows.find((line) => line.startsWith(head))
    t.ok(row?.includes(`| ${mitigation} |`) && row.endsWith(`| ${again} |`), `${nameOf(drill)} stands in docs/drills.md as it is`)
  }
  t.equal(rows.filter((line) => line.startsWith('| [')).length, DRILLS.length, 'and nothing else does')
})

t.test('a row of the page', async (t) => {
  const [drill] = DRILLS
  if (!drill) throw new Error('there are no drills')
  const row = rowOf(drill, { name: nameOf(drill), firedMs: 1_234, toldMs: null, chatMs: null, clearedMs: 99_999, showed: 'a|b', problems: [] })
  t.notMatch(rowOf(drill, { name: nameOf(drill), firedMs: null, toldMs: null, chatMs: null, clearedMs: null, showed: '', problems: ['it said\n\n  two lines\n'] }), /\n/, 'what went wrong stays within its row')
  t.match(row, /\| 1\.2 \| – \| – .*`a\\\|b`.*\| 100\.0 \|/, 'has what was measured')
  t.equal(recorded(recorded('# Page\n', drill, 'no row'), drill, row), `# Page\nno row\n${row}\n`, 'is put at the end')
  t.equal(recorded(`# Page\n${row}\nrest\n`, drill, row.replace('1.2', '3.4')), `# Page\n${row.replace('1.2', '3.4')}\nrest\n`, 'or where it stood')
})

t.test('drills', async (t) => {
  const outcomes = await runDrills(DRILLS.filter((drill) => HELD.includes(nameOf(drill))), { directory: scratch(t), factor: FACTOR })
  t.equal(outcomes.length, HELD.length)
  for (const { name, firedMs, clearedMs, problems } of outcomes) t.same(problems, [], `${name} fires after ${firedMs} ms and is over after ${clearedMs} ms`)
})
