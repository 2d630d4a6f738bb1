import t from 'tap'
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runbookAnchor } from '../../contracts/events/dead-letters.ts'
import { anchorOf } from '../../scripts/doctoring/check.ts'
import { CHECKS } from '../../scripts/doctoring/checks.ts'
import { APPLY_CODES, CANARY_CODES, FAILURE_CODES, HTTP_CODES, OPERATOR_REFUSALS, REPAIR_REFUSALS, UNDELIVERABLE_CODES, WEBHOOK_CODES } from '../../contracts/codes.ts'
import { BY_HAND, commands, ELSEWHERE, here, idle, MENTIONED, PHRASES, PROCEDURES, programOf, unclear } from './commands.ts'
import { codeIn, italicsIn, linksIn, placesIn, ROOT, runbook, titlesIn, withoutBlocks } from './runbook.ts'

/** The rows of the tables that explain codes. */
const codeRows = runbook.split(/^\| code \| .*\| impact \| what to do \|$/m).slice(1)
  .flatMap((after) => (after.trimStart().split(/\n(?!\|)/)[0] ?? '').split('\n').slice(1)).map((row) => ({ row, codes: cellsOf(row)[0] ?? '' }))

function cellsOf (row: string): string[] {
  return row.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim())
}

const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

t.test('whoever is referred to another place finds it', async (t) => {
  const titles = titlesIn(runbook)
  // Elsewhere: the guide to the logs, and dashboards.
  const elsewhere = new Set([...titlesIn(textOf('docs/follow-a-claim.md')), ...globSync('deploy/grafana/dashboards/*.json', { cwd: ROOT }).map((file) => (JSON.parse(textOf(file)) as { title: string }).title.replace(/^Klaim: /, ''))])
  // Italics for the sake of the voice.
  const stressed = ['dead letter', 'every', 'impact', 'remark', 'unknown']
  const words = italicsIn(runbook).filter((each) => !stressed.includes(each))
  t.ok(words.length > 50, 'there are references to look at')
  t.same(words.filter((each) => !titles.has(each) && !elsewhere.has(each)), [], 'by its very title')
  t.equal(titles.size, [...withoutBlocks(runbook).matchAll(/^(?:#+ |(?:<a id="[^"]+"><\/a>)?\*\*)/gm)].length, 'and no title stands in two places')
})

t.test('every command is carried out by somebody', async (t) => {
  t.ok(here.length > 100, `${here.length} by runbook-commands.test.ts`)
  t.same(unclear, [], 'and none is overlooked')
  const listed = [...MENTIONED, ...PHRASES, ...[...ELSEWHERE, ...BY_HAND].map(({ command }) => command)]
  t.same(listed.filter((text) => !codeIn(runbook).some((each) => each.text === text)), [], 'nothing is listed that is not on the page')
  t.same(idle, [], 'what is only mentioned is run by another command')
})

t.test('by another test', async (t) => {
  for (const [title, name] of Object.entries(PROCEDURES)) {
    t.ok(commands.some(({ under, isStep }) => under === title && isStep), `${title} has commands`)
    const begins = new RegExp(`(?:procedure|rotate|walk)\\(['"]${title}\\.?['"]`)
    t.match(textOf(`services/test/${name}.test.ts`).replaceAll("\\'", "'"), begins, `which ${name}.test.ts begins, and so brings to their end`)
  }
  for (const { command, file, words } of ELSEWHERE) t.ok(textOf(file).includes(words), `${command} by ${file}`)
})

t.test('by a person', async (t) => {
  for (const { command } of BY_HAND) {
    const { error, status, stdout } = spawnSync(programOf(command), ['--help'], { encoding: 'utf8' })
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') t.comment(`${programOf(command)} is not on this machine`)
    else t.ok(status === 0 && stdout.split('\n').length > 5, `${programOf(command)} explains itself`)
  }
})

t.test('a link of a document leads somewhere', async (t) => {
  const documents = globSync(['*.md', 'docs/*.md', 'deploy/**/*.md'], { cwd: ROOT, exclude: ['node_modules/**'] })
  for (const document of documents) {
    const broken = linksIn(textOf(document)).filter((address) => !/^[a-z]+:/.test(address)).filter((address) => {
      const [path = '', place] = address.split('#')
      const file = path === '' ? document : join(dirname(document), path)
      return !existsSync(join(ROOT, file)) || (place !== undefined && !placesIn(textOf(file)).has(place))
    })
    t.same(broken, [], document)
  }
})

t.test('what others say of the runbook is there', async (t) => {
  const files = globSync(['*.md', 'config/**', 'contracts/**/*.ts', 'deploy/**', 'docs/**', 'scripts/**', 'services/**/*.ts', 'services/web/**/*.tsx'], { cwd: ROOT, exclude: ['**/node_modules/**', '**/test/**', 'services/web/out/**', 'services/web/.next/**'], withFileTypes: true })
    .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const said = files.flatMap((file) => [...readFileSync(file, 'utf8').replaceAll("\\'", "'").matchAll(/RUNBOOK\.md(?:, "([^"]+)"|\), \*([^*]+)\*|#([\w-]+(?![\w-]|\$)))/g)].map(([whole, quoted, slanted, place]) => ({ whole, title: quoted ?? slanted, place })))
  t.ok(said.length > 40, 'there is something to look at')
  const titles = titlesIn(runbook)
  const places = placesIn(runbook)
  t.same(said.filter(({ title, place }) => title === undefined ? !places.has(place ?? '') : !titles.has(title)).map(({ whole }) => whole), [])
})

t.test('every code has its line in the runbook', async (t) => {
  const thrown = globSync('services/**/*.ts', { cwd: ROOT }).filter((file) => !file.includes('/test/'))
    .flatMap((file) => [...readFileSync(join(ROOT, file), 'utf8').matchAll(/(?:transient|permanent)\(\s*'([A-Z_]+)'|'(WHATSAPP_[A-Z_]+)'|reason: '([A-Z]+_[A-Z_]+)'/g)].map(([, code, whatsapp, reason]) => code ?? whatsapp ?? reason ?? ''))
  const codes = [...new Set([...thrown, ...FAILURE_CODES, ...UNDELIVERABLE_CODES, ...REPAIR_REFUSALS, ...OPERATOR_REFUSALS, ...APPLY_CODES, ...CANARY_CODES, ...Object.keys(HTTP_CODES), ...Object.keys(WEBHOOK_CODES)])].toSorted()
  t.ok(codes.length > 60, 'there are codes to look for')
  // Of one that stands in the row of another, as a reason for it, that row is the entry.
  const rowOf = (code: string): string | undefined => codeRows.find(({ codes }) => codes.includes(`\`${code}\``))?.row ?? codeRows.find(({ row }) => row.includes(`\`${code}\``))?.row
  t.same(codes.filter((code) => cellsOf(rowOf(code) ?? '').filter((cell) => cell !== '').length !== 4), [], 'with what it means, its impact, and what to do')
  t.same(codeRows.filter(({ row }) => cellsOf(row).filter((cell) => cell !== '').length !== 4).map(({ codes }) => codes), [], 'and so has every other row')
})

t.test('every table of codes says before it what holds for all of them', async (t) => {
  const tables = runbook.split(/^\| code \| .*\| impact \| what to do \|$/m).slice(0, -1)
  t.equal(tables.length, 8, 'there are tables to look at')
  for (const before of tables) {
    const lines = before.trimEnd().split('\n').slice(-3)
    t.same(lines.map((line) => /^- \*([A-Z][a-z ]+):\* ./.exec(line)?.[1]), ['Data at risk', 'Brake', 'Diagnosis'])
    t.match(lines[2], /`[^`]+`/, 'with a command')
  }
})

t.test('the entry of every alert', async (t) => {
  const entries = runbook.split(/^<a id="alert-/m).slice(1).map((text) => (text.split('\n\n')[0] ?? '').split('\n'))
  t.ok(entries.length > 25, 'there are entries to look at')
  for (const [title = '', ...lines] of entries) {
    const [, anchor = '', name = ''] = /^([a-z-]+)"><\/a>\*\*(\w+)\*\* \((?:page|ticket|always fires)\)$/.exec(title) ?? []
    t.equal(name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase(), anchor, `${title}: is under its name`)
    t.same(lines.map((line) => /^- \*([A-Z][a-z ]+):\* ./.exec(line)?.[1]), ['Meaning', 'Impact', 'Data at risk', 'Brake', 'Diagnosis', 'Mitigation'], `${name} has what a tired person asks, in its order`)
    t.match(lines[4], /`[^`]+`/, `${name} has a command to look with`)
  }
})

t.test('every reason of a dead letter can be followed to its line', async (t) => {
  const permanent = globSync('services/**/*.ts', { cwd: ROOT }).filter((file) => !file.includes('/test/'))
    .flatMap((file) => [...readFileSync(join(ROOT, file), 'utf8').matchAll(/permanent\(\s*'([A-Z_]+)'/g)].map(([, code = '']) => code))
  const reasons = [...new Set([...permanent, 'DELIVERIES_EXHAUSTED'])]
  t.ok(reasons.length > 20, 'there are reasons to look for')
  const lineOf = (reason: string): string => runbook.split('\n').find((line) => line.includes(`<a id="${runbookAnchor(reason).split('#')[1]}"></a>\`${reason}\``)) ?? ''
  t.same(reasons.filter((reason) => lineOf(reason).split('|').length < 4), [])
  const anchors = [...runbook.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id)
  t.equal(new Set(anchors).size, anchors.length, 'an anchor is one place')
})

t.test('every line of the go/no-go list can be followed to its place', async (t) => {
  const rows = CHECKS.map(({ name }) => runbook.split('\n').find((line) => line.startsWith(`| <a id="${anchorOf(name).split('#')[1]}"></a>\`${name}\` |`))?.split('|').length ?? 0)
  t.same(rows, CHECKS.map(() => 5), 'with when it is well and what to do otherwise')
  const told = [...runbook.matchAll(/<a id="doctor-([a-z-]+)">/g)].map(([, name]) => name)
  t.same(told, CHECKS.map(({ name }) => name), 'in the order in which it is told, and none besides')
})
