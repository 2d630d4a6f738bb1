import t from 'tap'
import { nearest } from '../nearest.ts'
import { by, reasoned, duration, flag, integer, json, oneOf, optional, required, withDefault } from '../options.ts'
import { command, run, type Call, type Program } from '../program.ts'

const options = { hours: required(integer(1, 336), 'how long'), status: optional(oneOf(['creating', 'active']), 'only these'), since: withDefault(duration(1_000, 86_400_000), 'how far back', 60_000), reveal: flag('all of it'), ...json }
type Seen = Pick<Call<typeof options>, 'words' | 'options' | 'login' | 'path'>
let seen: Seen | undefined
const hold = command({
  name: 'hold', summary: 'waits', words: { takes: '<claim id>', max: 1 }, options, exits: { 1: 'refused' },
  run: async (call) => {
    seen = { words: call.words, options: call.options, login: call.login, path: call.path }
    call.tell({ ok: true }, 'Done.', 'And more.')
    return 0
  },
})
const show = command({ name: 'show', summary: 'shows', words: { takes: '<sequence>', min: 1, max: 1 }, options: reasoned, exits: {}, run: async () => 1 })
const program: Program = { name: 'klaim', summary: 'what there is', commands: [hold, { name: 'letters', summary: 'a program of its own', commands: [show] }] }

async function called (...args: string[]) {
  const [printed, complained]: [string[], string[]] = [[], []]
  seen = undefined
  const code = await run('scripts/klaim', program, args, { USER: 'budi' }, { print: (line) => printed.push(line), complain: (line) => complained.push(line) })
  return { code, printed, complained: complained.join('\n') }
}

t.test('a command', async (t) => {
  t.same(await called('hold', 'x', '--hours', '24', '--status=active', '--since', '2h'), { code: 0, printed: ['Done.', 'And more.'], complained: '' })
  t.same(seen, { path: 'scripts/klaim hold', words: ['x'], login: 'budi', options: { hours: 24, status: 'active', since: 7_200_000, reveal: false, json: false } }, 'is told its options as values')
  t.same((await called('hold', '--hours', '1', '--json')).printed, ['{"ok":true}'], 'speaks in objects where that is wanted')
  t.match(seen, { words: [], options: { since: 60_000 } })
  t.equal((await called('letters', 'show', '17', '--why', 'seen')).code, 1, 'of a program within the program; its exit code is that of the script')
})

t.test('called wrongly', async (t) => {
  const wrong: Array<[RegExp, ...string[]]> = [
    [/hold: --hours is missing/, 'hold'], [/--hours has to be a whole number from 1 to 336/, 'hold', '--hours', '0'], [/--hours has to be/, 'hold', '--hours', '1.5'], [/--hours has to be/, 'hold', '--hours', ''],
    [/--hours needs a value/, 'hold', '--hours'], [/--hours is given more than once/, 'hold', '--hours', '1', '--hours', '2'], [/--json takes no value/, 'hold', '--hours', '1', '--json=1'],
    [/there is no option --hour\. Did you mean --hours\?/, 'hold', '--hour', '1'], [/there is no option -x\.$/m, 'hold', '-x'], [/there is no option --entirely\.$/m, 'hold', '--entirely'],
    [/--status has to be one of creating, active/, 'hold', '--hours', '1', '--status', 'done'], [/--since has to be a time such as 90s, 15m, 6h or 7d, from 1s to 1d/, 'hold', '--hours', '1', '--since', '2d'],
    [/it takes <claim id> and no more/, 'hold', 'x', 'y', '--hours', '1'], [/<sequence> is missing/, 'letters', 'show', '--why', 'x'],
    [/there is no command hodl\. Did you mean hold\?/, 'hodl'], [/there is no command shw\. Did you mean show\?/, 'letters', 'shw'], [/there is no command anything\.$/m, 'anything'],
    [/--why is missing/, 'letters', 'show', '1'], [/--why has to be a text of at most 200 characters/, 'letters', 'show', '1', '--why', ' '], [/--why has to be/, 'letters', 'show', '1', '--why', 'x'.repeat(201)], [/--by has to be/, 'letters', 'show', '1', '--why', 'x', '--by', 'x'.repeat(81)],
  ]
  for (const [complaint, ...args] of wrong) {
    const { code, printed, complained } = await called(...args)
    t.same([code, printed], [64, []], `${args.join(' ')}: nothing is printed that a program might read`)
    t.match(complained, complaint)
    t.match(complained, /scripts\/klaim.* --help/)
    t.equal(seen, undefined)
  }
  const number = '081200000001'
  for (const args of [[number], ['hold', number, number, '--hours', '1'], ['hold', `--${number}`], ['hold', '--hours', number], ['hold', '--hours', '1', '--status', number]]) {
    t.notMatch((await called(...args)).complained, number, 'and a number is not repeated')
  }
})

t.test('help', async (t) => {
  const { code, printed } = await called('hold', '--help')
  t.equal(code, 0)
  t.match(printed.join('\n'), /^scripts\/klaim hold: waits\n\nUsage: scripts\/klaim hold \[<claim id>\] --hours <n> \[options\]\n[^]*--since <time> +how far back\n[^]*\nExit code: 0 done, or so already; 1 refused; 64 called wrongly; 69 /)
  t.match((await called('letters', 'show', '-h')).printed.join('\n'), 'Usage: scripts/klaim letters show <sequence> --why <text> [options]')
  t.match((await called('hold', '--help', 'whatever', '--hours')).code, 64, 'is no excuse for a wrong call')
  const list = await called('--help')
  t.match([list.code, list.printed.join('\n')], [0, /hold {5}waits\n {2}letters {2}a program of its own$/])
  const bare = await called()
  t.match(bare, { code: 64, printed: [], complained: 'letters' }, 'comes unasked where there is no command')
})

t.test('who it is', async (t) => {
  const login = async (env: Record<string, string>): Promise<string | undefined> => {
    await run('x', hold, ['--hours', '1'], env, { print: () => {}, complain: () => {} })
    return seen?.login
  }
  t.equal(await login({ USER: 'root', SUDO_USER: 'budi' }), 'budi', 'the person, not the user they became')
  t.equal(await login({ USER: 'x'.repeat(100) }), 'x'.repeat(80))
  t.match(await login({}), /./, 'and somebody in any case')
  t.equal(by.by.read(undefined), undefined)
})

t.test('the word that was meant', async (t) => {
  const known = ['list', 'show', 'why', 'release', 'release-brake', 'set-brake', 'close-claims', 'open-claims', 'audit', 'dead-letters', 'drift', 'doctor']
  const meant = { lsit: 'list', shwo: 'show', wyh: 'why', relase: 'release', 'release-brak': 'release-brake', setbrake: 'set-brake', close: 'close-claims', letters: 'dead-letters', docter: 'doctor', ls: 'list', brake: undefined, xyzzy: undefined, '': undefined }
  for (const [typed, word] of Object.entries(meant)) t.equal(nearest(typed, known), word, `${typed} → ${word}`)
})
