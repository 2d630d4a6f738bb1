// scripts/secrets: the secrets of an installation, from the first day to the last rotation. What it does is in deploy/secrets/.
import { readFileSync } from 'node:fs'
import { usersText } from '../deploy/nats/config.ts'
import { SECRETS, secretOf, secretsFor, type Secret } from '../deploy/secrets/catalogue.ts'
import { createMissing } from '../deploy/secrets/creation.ts'
import { makeDirectory, nextOf, openDirectory, SecretsError, type Directory } from '../deploy/secrets/directory.ts'
import { natsKeys, previousOf } from '../deploy/secrets/nats-keys.ts'
import { ROTATIONS, type Phase } from '../deploy/secrets/rotation.ts'

const USAGE = `Usage:
  scripts/secrets create <directory>                    make what is missing, keep what is there
  scripts/secrets check <directory>                     are all there, readable by nobody else, and do they fit one another
  scripts/secrets rotate <name> <phase> <directory>     ${Object.entries(ROTATIONS).map(([name, rotation]) => `${name} (${Object.keys(rotation).join(', ')})`).join('; ')}
  scripts/secrets put panel-key <directory>             store the key that the panel made, from standard input
  scripts/secrets nats-users <directory>                the users.conf of NATS: public keys and rights, no secrets
  scripts/secrets environment <service> <directory>     the variables that a service is given: names of files, no secrets`

const EX_USAGE = 64
const PANEL_KEY_HOW = 'make an application key on the panel (rights: config/.env.example, PANEL_KEY) and store it: scripts/secrets put panel-key <directory>'

type Print = (line: string) => void

function create (directory: Directory, print: Print): number {
  const made = createMissing(directory)
  for (const { variable, file, holders } of SECRETS as readonly Secret[]) {
    if (made.includes(file)) print(`made ${file}, for ${holders.join(', ')}`)
    else if (directory.has(file)) print(`kept ${file}`)
    else print(`${file} is missing${variable === 'PANEL_KEY' ? `: ${PANEL_KEY_HOW.replace('<directory>', directory.path)}` : ''}`)
  }
  return 0
}

function check (directory: Directory, print: Print): number {
  const wrong: string[] = []
  const problem = directory.problem()
  if (problem !== null) wrong.push(`${directory.path} ${problem}`)
  const read = (file: string): string | undefined => {
    const found = directory.read(file)
    return 'text' in found ? found.text : undefined
  }
  const fileOf = (variable: string): string => (SECRETS as readonly Secret[]).find((secret) => secret.variable === variable)?.file ?? ''
  for (const { file, problem: problemOf } of SECRETS as readonly Secret[]) {
    const found = directory.read(file)
    const said = 'problem' in found ? found.problem : problemOf(found.text, (variable) => read(fileOf(variable)))
    if (said !== null) wrong.push(`${file} ${said}`)
    else print(`✓ ${file}${directory.has(nextOf(file)) ? ', which is being rotated' : ''}`)
  }
  const known = (SECRETS as readonly Secret[]).flatMap(({ file }) => [file, nextOf(file), ...(file.endsWith('.nk') ? [previousOf(file)] : [])])
  for (const file of directory.files()) if (!known.includes(file)) wrong.push(`${file} is none of ours: move it away`)
  for (const line of wrong) print(`✗ ${line}`)
  return wrong.length === 0 ? 0 : 1
}

function rotate (name: string, phase: string, directory: Directory, print: Print): number {
  const rotation = ROTATIONS[name]
  const step = rotation?.[phase as Phase]
  if (!rotation || !step) return usage(print)
  step.carryOut(directory)
  const phases = Object.keys(rotation)
  const following = phases[phases.indexOf(phase) + 1]
  print(`${name}: ${phase} is done.`)
  if (step.note !== undefined) print(step.note.replace('<directory>', directory.path))
  if (step.restarts.length > 0) print(`Restart now: ${step.restarts.join(', ')}`)
  print(following === undefined ? 'The old one is dropped.' : `Then: scripts/secrets rotate ${name} ${following} ${directory.path}`)
  return 0
}

function putPanelKey (directory: Directory, print: Print): number {
  const { file, problem } = secretOf('PANEL_KEY')
  const key = readFileSync(0, 'utf8').trim()
  const said = problem(key, () => undefined)
  if (said !== null) {
    print(`✗ what was given ${said}`)
    return 1
  }
  directory.write(file, key)
  print(`${file} is stored.\nRestart now: provisioner`)
  return 0
}

function environment (service: string, directory: Directory, print: Print): number {
  const secrets = secretsFor(service)
  if (secrets.length === 0) return usage(print)
  for (const { variable, file } of secrets) print(`${variable}_FILE=${directory.at(file)}`)
  return 0
}

function usage (print: Print): number {
  print(USAGE)
  return EX_USAGE
}

function main (args: readonly string[], print: Print): number {
  const [command = '', ...rest] = args
  const path = rest.at(-1)
  const counts: Record<string, number> = { create: 1, check: 1, rotate: 3, put: 2, 'nats-users': 1, environment: 2 }
  if (path === undefined || rest.length !== counts[command]) return usage(print)
  try {
    if (command === 'create') return create(makeDirectory(path), print)
    const directory = openDirectory(path)
    switch (command) {
      case 'check': return check(directory, print)
      case 'rotate': return rotate(rest[0] ?? '', rest[1] ?? '', directory, print)
      case 'nats-users':
        print(usersText(natsKeys(directory)).trimEnd())
        return 0
      case 'put': return rest[0] === 'panel-key' ? putPanelKey(directory, print) : usage(print)
      default: return environment(rest[0] ?? '', directory, print)
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (!(error instanceof SecretsError) && code === undefined) throw error
    print(`✗ ${error instanceof SecretsError ? error.message : `${path}: ${code}`}`)
    return 1
  }
}

process.exitCode = main(process.argv.slice(2), (line) => { process.stdout.write(`${line}\n`) })
