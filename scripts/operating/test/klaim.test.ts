// What holds for every command of scripts/klaim, whatever it does.
import t from 'tap'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { FAILURE_CODES, OPERATOR_REFUSALS, UNDELIVERABLE_CODES } from '../../../contracts/codes.ts'
import { runbookAnchor } from '../../../contracts/events/dead-letters.ts'
import { klaim } from '../../klaim.ts'
import { run, type Command, type Elsewhere, type Program } from '../program.ts'

const loaded: Array<{ path: string[], one: Command }> = []
async function collect (one: Command | Program | Elsewhere, path: readonly string[]): Promise<void> {
  const here = 'load' in one ? await one.load() : one
  if ('commands' in here) for (const each of here.commands) await collect(each, [...path, each.name])
  else loaded.push({ path: [...path], one: here })
}
await collect(klaim, [])

/** It gives its own reason for what it changes, which is its own. */
const OWN = ['canary']
/** What changes nothing, and so needs no reason. */
const LOOKS = ['list', 'show', 'why', 'brake', 'roster', 'audit', 'dead-letters list', 'dead-letters show', 'drift plan', 'doctor']

async function called (args: readonly string[]): Promise<{ code: number, printed: string, complained: string }> {
  const [printed, complained]: [string[], string[]] = [[], []]
  const code = await run('scripts/klaim', klaim, args, {}, { print: (line) => printed.push(line), complain: (line) => complained.push(line) })
  return { code, printed: printed.join('\n'), complained: complained.join('\n') }
}

t.test('every command', async (t) => {
  t.ok(loaded.length > 20, 'there are some to look at')
  for (const { path, one: { options } } of loaded) {
    const name = path.join(' ')
    const { code, printed } = await called([...path, '--help'])
    t.equal(code, 0)
    t.match(printed, new RegExp(`^scripts/klaim ${name}: .+\n\nUsage: scripts/klaim ${name}[^]*\n  --json +[^]*\nExit code: 0 [^]*64 [^]*69 `), `${name} says how it is called`)
    if (OWN.includes(name)) continue
    if (LOOKS.includes(name)) t.notOk('dry-run' in options || 'why' in options, `${name} changes nothing`)
    else t.same(['why', 'by'].filter((option) => !(option in options)), [], `${name} is told who and why`)
    // The plan is what an application of it would do.
    if (!LOOKS.includes(name) && name !== 'drift apply') t.ok('dry-run' in options, `${name} can be tried out`)
  }
})

t.test('where nothing says where NATS is', async (t) => {
  for (const words of [['list'], ['brake'], ['audit'], ['set-brake', '--why', 'x'], ['dead-letters', 'list'], ['drift', 'plan'], ['doctor']]) t.match(await called(words), { code: 64, printed: '', complained: /NATS_URL is missing/ }, words.join(' '))
})

t.test('every code that a refusal names', async (t) => {
  const runbook = readFileSync(join(import.meta.dirname, '../../../RUNBOOK.md'), 'utf8')
  const codes = [...OPERATOR_REFUSALS, ...FAILURE_CODES, ...UNDELIVERABLE_CODES, 'TOO_SOON', 'NOT_ACTIVE', 'BOT_OFFLINE']
  t.same(codes.filter((code) => !runbook.includes(`<a id="${runbookAnchor(code).split('#')[1]}"></a>`)), [], 'has its place in the runbook')
})
