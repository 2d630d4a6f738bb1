// What an operator's command is: a name, what it may be told, and what it does. From that come its parsing, its help and its exit code, the same for
// all of them, whether a script is one command or many.
import { userInfo } from 'node:os'
import { parseArgs } from 'node:util'
import { BY_LENGTH_MAX } from '../../contracts/events/operations.ts'
import { maskedText } from '../../services/common/mask.ts'
import { nearest } from './nearest.ts'
import { CalledWrongly, type Options, type Values } from './options.ts'

/** `no`: refused, no go, or nothing found. `unavailable`: NATS or a service did not answer, so what came of it may not be known. */
export const EXIT = { done: 0, no: 1, usage: 64, unavailable: 69 } as const

type Print = (line: string) => void
export interface Output {
  readonly print: Print
  /** Beside what a program reads: how it is called, and what is asked for. */
  readonly complain: Print
}
type Environment = Readonly<Record<string, string | undefined>>

/** One call of a command. */
export interface Call<Given extends Options = Options> {
  /** As the user typed it: `scripts/klaim hold`. */
  readonly path: string
  readonly words: readonly string[]
  readonly options: Values<Given>
  readonly env: Environment
  /** The login name of whoever called. */
  readonly login: string
  readonly print: Print
  readonly complain: Print
  /** One thing, in words or, where objects are wanted, as an object. */
  readonly tell: (object: Readonly<Record<string, unknown>>, ...lines: readonly string[]) => void
}

export interface Command<Given extends Options = Options> {
  readonly name: string
  /** In one line what it does, for the list of commands; more, if there is any, for its own help. */
  readonly summary: string
  readonly details?: readonly string[]
  /** What stands behind its name, as the help shows it, and how many there may be. */
  readonly words?: { readonly takes: string, readonly max: number, readonly min?: number }
  readonly options: Given
  /** What else than 0, 64 and 69 it ends with. */
  readonly exits: Readonly<Record<number, string>>
  run (call: Call<Given>): Promise<number>
}
export interface Program { readonly name: string, readonly summary: string, readonly details?: readonly string[], readonly commands: ReadonlyArray<Command | Program | Elsewhere> }
/** What takes long to load, and is seldom wanted beside the rest. */
export interface Elsewhere { readonly name: string, readonly summary: string, readonly load: () => Promise<Command | Program> }

/** Keeps what a command may be told and what it reads of that together. */
export const command = <const Given extends Options>(definition: Command<Given>): Command => definition as unknown as Command

/** What is refused ends with 1, and its code is explained. */
export const REFUSED = { [EXIT.no]: 'refused, with a code that RUNBOOK.md explains' } as const

const isProgram = (one: Command | Program): one is Program => 'commands' in one

/** Answers the exit code. `path` is what was typed so far. */
export async function run (path: string, one: Command | Program, args: readonly string[], env: Environment, output: Output): Promise<number> {
  if (!isProgram(one)) return await runCommand(path, one, args, env, output)
  const [word, ...rest] = args
  if (word === undefined || word === '--help' || word === '-h') {
    for (const line of programHelp(path, one)) (word === undefined ? output.complain : output.print)(line)
    return word === undefined ? EXIT.usage : EXIT.done
  }
  const chosen = one.commands.find(({ name }) => name === word)
  if (chosen) return await run(`${path} ${word}`, 'load' in chosen ? await chosen.load() : chosen, rest, env, output)
  const meant = nearest(word, one.commands.map(({ name }) => name))
  output.complain(`${path}: there is no command ${maskedText(word)}.${meant === undefined ? '' : ` Did you mean ${meant}?`}`)
  output.complain(`${path} --help lists them.`)
  return EXIT.usage
}

async function runCommand (path: string, one: Command, args: readonly string[], env: Environment, { print, complain }: Output): Promise<number> {
  try {
    const given = parsed(one, args)
    if (given === 'help') {
      for (const line of commandHelp(path, one)) print(line)
      return EXIT.done
    }
    const isJson = given.options['json'] === true
    const tell: Call['tell'] = (object, ...lines) => {
      if (isJson) print(JSON.stringify(object))
      else for (const line of lines) print(line)
    }
    return await one.run({ path, ...given, env, login: loginOf(env), print, complain, tell })
  } catch (error) {
    if (!(error instanceof CalledWrongly)) throw error
    complain(`${path}: ${error.message}`)
    complain(`${path} --help says how it is called.`)
    return EXIT.usage
  }
}

function parsed (one: Command, args: readonly string[]): { words: string[], options: Record<string, unknown> } | 'help' {
  const names = Object.keys(one.options)
  const parsing = Object.fromEntries(Object.entries(one.options).map(([name, { takes }]) => [name, { type: takes === undefined ? 'boolean' as const : 'string' as const, multiple: true as const }]))
  let given
  try {
    given = parseArgs<{ args: string[], allowPositionals: true, options: Record<string, { type: 'boolean' | 'string', multiple: true, short?: string }> }>({ args: [...args], allowPositionals: true, options: { ...parsing, help: { type: 'boolean', multiple: true, short: 'h' } } })
  } catch (error) {
    throw new CalledWrongly(misspelt(error as NodeJS.ErrnoException, names))
  }
  const { values, positionals: words } = given
  if (values['help'] !== undefined) return 'help'
  const { min = 0, max } = one.words ?? { max: 0 }
  // What is too much may be a number, so it is not repeated.
  if (words.length > max) throw new CalledWrongly(max === 0 ? 'it takes no words besides its options' : `it takes ${one.words?.takes} and no more`)
  if (words.length < min) throw new CalledWrongly(`${one.words?.takes} is missing`)
  const options = Object.fromEntries(Object.entries(one.options).map(([name, option]) => [name, valueOf(name, option, values[name] ?? [])]))
  return { words, options }
}

function valueOf (name: string, { read }: Options[string], [given, ...more]: ReadonlyArray<string | boolean>): unknown {
  try {
    if (more.length > 0) throw new CalledWrongly('is given more than once')
    return read(given)
  } catch (error) {
    throw error instanceof CalledWrongly ? new CalledWrongly(`--${name} ${error.message}`) : error
  }
}

function misspelt ({ code, message }: NodeJS.ErrnoException, names: readonly string[]): string {
  const [, option = ''] = /'(?:-\w, )?(-[^' =]*)/.exec(message) ?? []
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return `${option} ${/does not take/.test(message) ? 'takes no value' : 'needs a value'}`
  const meant = nearest(option.replace(/^-+/, ''), [...names, 'help'])
  return `there is no option ${maskedText(option)}.${meant === undefined ? '' : ` Did you mean --${meant}?`}`
}

function loginOf (env: Environment): string {
  return (env['SUDO_USER'] || env['USER'] || userName() || 'operator').slice(0, BY_LENGTH_MAX)
}
function userName (): string | undefined {
  try {
    return userInfo().username
  } catch {
    // A user without an entry in the system's list, as in a container.
    return undefined
  }
}

function programHelp (path: string, { summary, details = [], commands }: Program): string[] {
  return [
    `${path}: ${summary}`, '', `Usage: ${path} <command> …; ${path} <command> --help says more`, '',
    ...columns(commands.map(({ name, summary }) => [name, summary])), ...(details.length > 0 ? ['', ...details] : []),
  ]
}

function commandHelp (path: string, { summary, details = [], words, options, exits }: Command): string[] {
  const written = Object.entries(options).map(([name, option]) => ({ ...option, text: `--${name}${option.takes === undefined ? '' : ` ${option.takes}`}` }))
  const needed = written.filter(({ isRequired }) => isRequired).map(({ text }) => text)
  const codes = { [EXIT.done]: 'done, or so already', ...exits, [EXIT.usage]: 'called wrongly', [EXIT.unavailable]: 'NATS or a service did not answer' }
  return [
    `${path}: ${summary}`, '', `Usage: ${[path, ...(words ? [(words.min ?? 0) > 0 ? words.takes : `[${words.takes}]`] : []), ...needed, ...(written.length > needed.length ? ['[options]'] : [])].join(' ')}`,
    ...(details.length > 0 ? ['', ...details] : []), '',
    ...columns([...written.map(({ text, says }): [string, string] => [text, says]), ['--help', 'this text']]), '',
    `Exit code: ${Object.entries(codes).map(([code, says]) => `${code} ${says}`).join('; ')}.`,
  ]
}

function columns (rows: ReadonlyArray<readonly [string, string]>): string[] {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, says]) => `  ${name.padEnd(width)}  ${says}`)
}

/** The whole of a script. A connection that is still being tried for keeps the process alive, so it is ended. */
export async function runScript (path: string, one: Command | Program): Promise<never> {
  const output = { print: (line: string) => { process.stdout.write(`${line}\n`) }, complain: (line: string) => { process.stderr.write(`${line}\n`) } }
  process.exit(await run(path, one, process.argv.slice(2), process.env, output))
}
