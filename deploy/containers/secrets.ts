// What the first container does before any other is started, and what is done again after a secret was changed: makes what is missing in the
// installation's set of secrets, and gives each container its own in a volume that no other has. What is there and right stays untouched.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createMissing } from '../secrets/creation.ts'
import { makeDirectory, SecretsError } from '../secrets/directory.ts'
import { inspect } from '../secrets/inspection.ts'
import { handOut, sharesOf } from './hand-out.ts'

export const DIRECTORY = '/etc/klaim'
const VOLUMES = '/volumes'
const ROOT = resolve(import.meta.dirname, '../..')

const print = (line: string): void => { process.stdout.write(`${line}\n`) }

/** Answers the exit code. */
export function makeAndHandOut (env: Readonly<Record<string, string | undefined>>): number {
  const directory = makeDirectory(DIRECTORY)
  for (const file of createMissing(directory)) print(`made ${file}`)
  const wrong = inspect(directory).filter(({ problem }) => problem !== null)
  for (const { what, problem } of wrong) print(`✗ ${what} ${problem}`)
  // A service without its secret would end at its start; here the reason is told before.
  if (wrong.length > 0) return 1
  const shares = sharesOf(directory, {
    natsConf: readFileSync(join(ROOT, 'deploy/nats/nats.conf'), 'utf8'), natsNodes: (env['NATS_NODES'] || 'nats').split(','),
    alertmanagerYml: readFileSync(env['ALERTMANAGER_FILE'] || join(ROOT, 'deploy/prometheus/alertmanager.yml'), 'utf8'), alertsUrl: env['ALERTS_URL'] || 'http://bot:8085',
  })
  for (const line of handOut(shares, VOLUMES)) print(line)
  print('Every container has its secrets.')
  return 0
}

if (import.meta.main) {
  try {
    process.exitCode = makeAndHandOut(process.env)
  } catch (error) {
    if (!(error instanceof SecretsError)) throw error
    print(`✗ ${error.message}`)
    process.exitCode = 1
  }
}
