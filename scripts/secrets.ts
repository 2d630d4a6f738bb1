// scripts/secrets: the secrets of an installation, from the first day to the last rotation. What it does is in deploy/secrets/.
import { readFileSync } from 'node:fs'
import { clusterText, usersText } from '../deploy/nats/config.ts'
import { SECRETS, secretOf, secretsFor, type Secret, type SecretName } from '../deploy/secrets/catalogue.ts'
import { createMissing } from '../deploy/secrets/creation.ts'
import { makeDirectory, openDirectory, SecretsError, type Directory } from '../deploy/secrets/directory.ts'
import { inspect } from '../deploy/secrets/inspection.ts'
import { natsKeys } from '../deploy/secrets/nats-keys.ts'
import { ROTATIONS, type Phase } from '../deploy/secrets/rotation.ts'

const USAGE = `Usage:
  scripts/secrets create <directory>                    make what is missing, keep what is there
  scripts/secrets check <directory>                     are all there, readable by nobody else, and do they fit one another
  scripts/secrets rotate <name> <phase> <directory>     ${Object.entries(ROTATIONS).map(([name, rotation]) => `${name} (${Object.keys(rotation).join(', ')})`).join('; ')}
  scripts/secrets put panel-key <directory>             store the key that the panel made, from standard input
  scripts/secrets put alert-numbers <directory>         store whom the bot tells of alerts: digits by comma, from standard input
  scripts/secrets put canary-number <directory>         store as whom the canary claims: digits, from standard input
  scripts/secrets nats-users <directory>                the users.conf of NATS: public keys and rights, no secrets
  scripts/secrets nats-cluster <name> <host,host,host> <directory>   the cluster.conf of one node of NATS; holds the password of the nodes
  scripts/secrets environment <service> <directory>     the variables that a service is given: names of files, no secrets`

const EX_USAGE = 64
const ROUTES_PORT = 6222
/** What a person gives, and who has to be restarted then. */
const GIVEN: Readonly<Record<string, { variable: SecretName, restart: string }>> = { 'panel-key': { variable: 'PANEL_KEY', restart: 'provisioner' }, 'alert-numbers': { variable: 'ALERT_NUMBERS', restart: 'bot' }, 'canary-number': { variable: 'CANARY_NUMBER', restart: 'the canary' } }
const PANEL_KEY_HOW = 'make an application key on the panel (rights: config/.env.example, PANEL_KEY) and store it: scripts/secrets put panel-key <directory>'

type Print = (line: string) => void

function create (directory: Directory, print: Print): number {
  const made = createMissing(directory)
  for (const { variable, file, holders, isOptional } of SECRETS as readonly Secret[]) {
    if (made.includes(file)) print(`made ${file}, for ${holders.join(', ')}`)
    else if (directory.has(file)) print(`kept ${file}`)
    else if (!isOptional) print(`${file} is missing${variable === 'PANEL_KEY' ? `: ${PANEL_KEY_HOW.replace('<directory>', directory.path)}` : ''}`)
  }
  return 0
}

function check (directory: Directory, print: Print): number {
  const inspected = inspect(directory)
  const wrong = inspected.filter(({ problem }) => problem !== null)
  for (const { what, isRotated } of inspected.filter(({ problem }) => problem === null)) print(`✓ ${what}${isRotated ? ', which is being rotated' : ''}`)
  for (const { what, problem } of wrong) print(`✗ ${what} ${problem}`)
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

function put (name: string, directory: Directory, print: Print): number {
  const given = GIVEN[name]
  if (!given) return usage(print)
  const { file, problem } = secretOf(given.variable)
  const text = readFileSync(0, 'utf8').trim()
  const said = problem(text, () => undefined)
  if (said !== null) {
    print(`✗ what was given ${said}`)
    return 1
  }
  directory.write(file, text)
  print(`${file} is stored.\nRestart now: ${given.restart}`)
  return 0
}

function cluster (serverName: string, hosts: readonly string[], directory: Directory, print: Print): number {
  if (!/^[\w-]{1,32}$/.test(serverName) || !hosts.every((host) => /^[A-Za-z0-9.-]+$/.test(host))) return usage(print)
  const password = directory.text(secretOf('NATS_ROUTES_PASSWORD').file)
  print(clusterText({ serverName, listen: `0.0.0.0:${ROUTES_PORT}`, routes: hosts.map((host) => `${host}:${ROUTES_PORT}`), password, hasTls: true }).trimEnd())
  return 0
}

function environment (service: string, directory: Directory, print: Print): number {
  const secrets = secretsFor(service).filter(({ file, isOptional }) => !isOptional || directory.has(file))
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
  const counts: Record<string, number> = { create: 1, check: 1, rotate: 3, put: 2, 'nats-users': 1, 'nats-cluster': 3, environment: 2 }
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
      case 'nats-cluster': return cluster(rest[0] ?? '', (rest[1] ?? '').split(','), directory, print)
      case 'put': return put(rest[0] ?? '', directory, print)
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
