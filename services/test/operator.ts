// Whoever is on call, at a terminal beside a running system: a command of RUNBOOK.md is carried out as it stands there, but for addresses and paths,
// which are those of the system under test.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KlaimNats } from '../../deploy/staging/klaim-nats.ts'
import { SERVICES, type Service, type System } from '../../deploy/staging/system.ts'
import { ROOT } from './runbook.ts'

/** Whose ports deploy/prometheus/targets/klaim.yml proposes, from 9201 on. */
export const NUMBERED: readonly Service[] = ['gateway', 'claim-store', 'provisioner', 'reaper', 'notifier', 'bot']
const RUN_MS_MAX = 180_000

export interface Output {
  readonly code: number | null
  /** Of both, as a terminal shows it. */
  readonly said: string
}

/** What stands in a command for something, and what is meant. */
export type Meaning = readonly [from: string | RegExp, to: string]

export interface Call {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly fill?: readonly Meaning[]
  /** It is ended after this. */
  readonly msMax?: number
  /** A program that wants to speak with a person gets a terminal. */
  readonly isAtTerminal?: boolean
}

/** What there is to reach. */
export type Site = Pick<System, 'gatewayUrls' | 'panelUrl' | 'whatsappUrl' | 'botUrl' | 'secretsDirectory' | 'logDirectory' | 'healthUrl'> & { readonly nats: Pick<KlaimNats, 'url' | 'nodes'> }

export interface Operator {
  /** Everything that the page has set before its first command, and each script wants set. */
  readonly env: Readonly<Record<string, string>>
  /** A command, or any text, with the addresses and paths of this system. */
  meant (text: string, fill?: readonly Meaning[]): string
  run (command: string, call?: Call): Promise<Output>
  /** Of a command that stays: its process, which never outlives this one. */
  start (command: string, call?: Call): ChildProcess
}

/** `places`: more that stands in the runbook for something of this machine. `env`: added to the environment. */
export function operatorOf (system: Site, directory: string, { env: more = {}, places = [] }: { env?: Record<string, string>, places?: readonly Meaning[] } = {}): Operator {
  const at = (...parts: string[]): string => join(directory, ...parts)
  const secret = (file: string): string => join(system.secretsDirectory, file)
  const bin = at('operator', 'bin')
  mkdirSync(bin, { recursive: true })
  const programs = { nats: 'NATS_CLI', 'nats-server': 'NATS_SERVER', prometheus: 'PROMETHEUS', 'prometheus-alertmanager': 'ALERTMANAGER', amtool: 'AMTOOL', promtool: 'PROMTOOL' }
  for (const [name, variable] of Object.entries(programs)) {
    const path = process.env[variable]
    if (path === undefined) continue
    writeFileSync(join(bin, name), `#!/bin/sh\nexec '${path}' "$@"\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const hostOf = (url: string): string => new URL(url).host
  const [node] = system.nats.nodes.values()
  const known: readonly Meaning[] = [
    ...places,
    ['/etc/klaim', system.secretsDirectory], ['/var/lib/klaim', at('book')], ['/var/log/klaim', system.logDirectory],
    ['nats://127.0.0.1:4222', system.nats.url], ...(node ? [['127.0.0.1:8222', hostOf(node.monitoringUrl)] as const] : []), ['127.0.0.1:8085', hostOf(system.botUrl)], ['127.0.0.1:8080', hostOf(system.gatewayUrls[0] ?? '')],
    ...NUMBERED.map((service, n) => [`127.0.0.1:${9201 + n}`, hostOf(system.healthUrl(service))] as const),
    ['https://web.whatsapp.com', system.whatsappUrl],
  ]
  const env: Record<string, string> = {
    PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: process.env['HOME'] ?? '', XDG_CONFIG_HOME: at('operator', 'config'), USER: 'on-call', LANG: 'C.UTF-8', TZ: 'UTC', TERM: 'xterm',
    NATS_URL: system.nats.url, NATS_NKEY_SEED_FILE: secret('nats_operator.nk'), LOGS: system.logDirectory, SECRETS_DIRECTORY: system.secretsDirectory, TEMPLATES_FILE: at('config', 'templates.json'),
    PANEL_URL: system.panelUrl, PANEL_KEY_FILE: secret('panel_key'), CLAIM_EMAIL_DOMAIN: 'members.klaim.invalid', LEDGER_KEYS_FILE: secret('ledger_keys'), BOT_URL: system.botUrl, INTERNAL_SECRET_FILE: secret('internal_secret'),
    GATEWAY_URL: system.gatewayUrls[0] ?? '', HEALTH_URLS: SERVICES.map((service) => system.healthUrl(service)).join(','),
    BOOK_FILE: at('book', 'claims.json'), BACKUP_DIRECTORY: at('backups'), BACKUP_METRICS_FILE: at('klaim_backup.prom'), NATS_STORE_DIRECTORY: at('nats'),
    ...Object.fromEntries(['NATS_CLI', 'NATS_SERVER', 'XDG_CACHE_HOME', 'NODE_COMPILE_CACHE'].flatMap((name) => process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ...more,
  }
  const meant = (text: string, fill: readonly Meaning[] = []): string => [...fill, ...known].reduce((so, [from, to]) => so.replaceAll(typeof from === 'string' ? from : new RegExp(from.source, 'g'), () => to), text)

  function start (command: string, { env: own = {}, input = '', fill = [], isAtTerminal = false }: Call = {}): ChildProcess & { stdout: NodeJS.ReadableStream, stderr: NodeJS.ReadableStream } {
    // A command that fails in front of a `|` has failed.
    const shell = ['bash', '-o', 'pipefail', '-c', meant(command, fill)]
    const whole = isAtTerminal ? ['script', '-qec', 'bash -o pipefail -c "$COMMAND"', '/dev/null'] : shell
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...whole], { cwd: ROOT, env: { ...env, ...own, COMMAND: shell.at(-1) ?? '' }, stdio: ['pipe', 'pipe', 'pipe'] })
    child.stdin.on('error', () => {}).end(input)
    return child
  }

  return {
    env, meant, start,
    run: async (command, { msMax = RUN_MS_MAX, ...call } = {}) => {
      const child = start(command, call)
      let said = ''
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => { said += chunk })
      const timer = setTimeout(() => { said += '\nit did not come to its end'; child.kill('SIGKILL') }, msMax)
      const [code] = await once(child, 'close') as [number | null]
      clearTimeout(timer)
      return { code, said }
    },
  }
}
