// The whole system on one machine, as processes: nats-server, the doubles of panel and WhatsApp, and every service as it runs in production.
// The demo shows it, and the journey tests kill it piece by piece.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, cpSync, mkdirSync, openSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { NODE_ARGS, OWN_NODE_ARGS, PROCESS_ENV } from '../process.ts'
import { openDirectory } from '../secrets/directory.ts'
import { natsSeedsIn, startKlaimNats, type KlaimNats } from './klaim-nats.ts'
import { linkBot } from './link.ts'
import { freePort } from './nats/nats-server.ts'
import { stagingSecrets } from './secrets.ts'

export const SERVICES = ['claim-store', 'provisioner', 'reaper', 'notifier', 'bot', 'gateway'] as const
export type Service = typeof SERVICES[number]
export type ServiceProcess = Service | `${Service}-2`
export type ProcessName = 'panel' | 'whatsapp' | ServiceProcess

export interface SystemOptions {
  /** Everything the system keeps: store, state, secrets, logs. Made if missing. */
  readonly directory: string
  readonly graceMs?: number
  /** People in the group, and people outside it. */
  readonly members?: number
  readonly outsiders?: number
  /** Services that run twice. */
  readonly doubled?: readonly Service[]
  /** 3: NATS is a cluster of three nodes. */
  readonly natsReplicas?: 1 | 3
  /** Added to the environment of a process; 'all' reaches every service. */
  readonly env?: Partial<Record<ProcessName | 'all', Record<string, string>>>
  /** Public ports; free ones where absent. */
  readonly ports?: { readonly gateway?: number, readonly panel?: number, readonly whatsapp?: number }
  /** The directory a service is started from, asked each time; undefined: this checkout, as for the doubles. For two versions side by side, and packed ones. */
  readonly rootOf?: (name: ServiceProcess) => string | undefined
  /** How long a process may take to be ready, and a bot to be linked. */
  readonly readyMsMax?: number
  /** Told what is going on, in plain words. */
  readonly say?: (line: string) => void
}

export interface System {
  readonly nats: KlaimNats
  readonly gatewayUrls: readonly string[]
  readonly panelUrl: string
  /** The control API and page of the double of WhatsApp. */
  readonly whatsappUrl: string
  readonly group: string
  readonly memberIdKey: string
  /** Internal address of the first bot: membership and pairing, for who has the internal secret. */
  readonly botUrl: string
  /** Where the secrets are; a service reads its own when it starts. */
  readonly secretsDirectory: string
  readonly logDirectory: string
  /** Internal address of a process: /healthz, /readyz, /metrics. */
  healthUrl (name: Service | `${Service}-2`): string
  /** What a process is configured with, for whoever starts it in another way. */
  environment (name: ProcessName): Readonly<Record<string, string>>
  /** Of a process that was started; undefined for one that is not there. */
  pid (name: ProcessName): number | undefined
  /** Sends a signal and, where it ends the process, resolves when it has ended. */
  kill (name: ProcessName, signal?: NodeJS.Signals): Promise<void>
  /** Starts a process that was killed, with the same state and addresses; resolves when it is ready. `env` is added to its environment this once. */
  start (name: ProcessName, env?: Record<string, string>): Promise<void>
  /** What a person does with the bot's phone: once at the start, and after a restore. */
  link (): Promise<void>
  /** Resolves when the process that runs under this name has ended, however: exit code and signal. */
  ended (name: ProcessName): Promise<{ readonly code: number | null, readonly signal: NodeJS.Signals | null }>
  close (): Promise<void>
}

const ROOT = resolve(import.meta.dirname, '../..')
const READY_MS_MAX = 60_000
const STOP_MS_MAX = 15_000

interface Description { readonly args: readonly string[], readonly env: Record<string, string>, readonly readyUrl: string }

export async function startSystem (options: SystemOptions): Promise<System> {
  const { directory, graceMs = 20_000, members = 5, outsiders = 3, doubled = [], natsReplicas = 1, readyMsMax = READY_MS_MAX, say = () => {} } = options
  const at = (...parts: string[]): string => join(directory, ...parts)
  mkdirSync(at('logs'), { recursive: true, mode: 0o700 })
  const secrets = stagingSecrets(at('secrets'))
  // A copy, so that the offer and the words stay the same over every restart, whatever happens to the checkout meanwhile.
  cpSync(join(ROOT, 'config'), at('config'), { recursive: true })
  const running = new Map<ProcessName, ChildProcess>()
  const group = '120363000000000001@g.us'

  const port = { panel: options.ports?.panel ?? await freePort(), whatsapp: options.ports?.whatsapp ?? await freePort(), socket: await freePort(), gateway: options.ports?.gateway ?? await freePort(), gateway2: await freePort(), bot: await freePort(), bot2: await freePort() }
  const names: Array<Service | `${Service}-2`> = [...SERVICES, ...doubled.map((service) => `${service}-2` as const)]
  const healthPorts = new Map<string, number>()
  for (const name of names) healthPorts.set(name, await freePort())
  const address = (number: number): string => `http://127.0.0.1:${number}`
  const healthUrl = (name: string): string => address(healthPorts.get(name) ?? 0)

  say('Starting nats-server')
  const nats = await startKlaimNats({ storeDir: at('nats'), seeds: natsSeedsIn(openDirectory(at('secrets'))), replicas: natsReplicas })

  const botUrls = [port.bot, ...(doubled.includes('bot') ? [port.bot2] : [])].map(address)
  const templates = { TEMPLATES_FILE: at('config', 'templates.json') }
  const words = { MESSAGES_DIR: at('config', 'messages') }
  // Servers of two systems on one machine must not meet on a port: a health check would take one for the other. Linux has all of 127.0.0.0/8.
  const serverAddress = options.env?.panel?.['PANEL_DOUBLE_ALLOCATION_IP'] ?? `127.${randomInt(65, 128)}.${randomInt(256)}.${randomInt(1, 255)}`
  const settings: Record<Service, (second: boolean) => Record<string, string>> = {
    'claim-store': () => ({ BOOK_FILE: at('book', 'claims.json'), GRACE_MS: String(graceMs) }),
    provisioner: () => ({ PANEL_URL: address(port.panel), CLAIM_EMAIL_DOMAIN: 'members.klaim.invalid', ...templates }),
    reaper: () => ({ BOT_URL: botUrls.join(','), GRACE_MS: String(graceMs) }),
    notifier: () => ({ PANEL_PUBLIC_URL: address(port.panel), ...words }),
    bot: (second) => ({ PANEL_PUBLIC_URL: address(port.panel), GROUP_ID: group, INTERNAL_HOST: '127.0.0.1', INTERNAL_PORT: String(second ? port.bot2 : port.bot), WHATSAPP_URL: `ws://127.0.0.1:${port.socket}/ws/chat`, ...words }),
    gateway: (second) => ({ GROUP_ID: group, PANEL_PUBLIC_URL: address(port.panel), BOT_URL: botUrls.join(','), HTTP_HOST: '127.0.0.1', HTTP_PORT: String(second ? port.gateway2 : port.gateway), ...templates, ...words }),
  }

  function describe (name: ProcessName): Description {
    if (name === 'panel') {
      const env = { PANEL_DOUBLE_PORT: String(port.panel), PANEL_DOUBLE_KEY: secrets.value('PANEL_KEY'), PANEL_DOUBLE_STATE_FILE: at('panel.json'), PANEL_DOUBLE_ALLOCATION_IP: serverAddress }
      return { args: ['deploy/staging/panel/main.ts'], env, readyUrl: `${address(port.panel)}/__double/state` }
    }
    if (name === 'whatsapp') {
      const env = { WHATSAPP_DOUBLE_PORT: String(port.socket), WHATSAPP_DOUBLE_CONTROL_PORT: String(port.whatsapp), WHATSAPP_DOUBLE_STATE_FILE: at('whatsapp.json'), WHATSAPP_DOUBLE_MEMBERS: String(members), WHATSAPP_DOUBLE_OUTSIDERS: String(outsiders) }
      return { args: ['deploy/staging/whatsapp/main.ts'], env, readyUrl: `${address(port.whatsapp)}/state` }
    }
    const service = name.replace(/-2$/, '') as Service
    const main = `services/${service}/main.ts`
    return {
      // The bootstrap that trusts the double of WhatsApp: without it the bot refuses any address but WhatsApp's own.
      args: [...OWN_NODE_ARGS[service], ...(service === 'bot' ? ['--import', './deploy/staging/whatsapp/trust-root.ts'] : []), main],
      env: {
        NATS_URL: nats.url, HEALTH_PORT: String(healthPorts.get(name)), ...settings[service](name.endsWith('-2')), ...secrets.envFor(service),
        ...options.env?.all, ...options.env?.[service], ...options.env?.[name],
      },
      readyUrl: `${healthUrl(name)}/readyz`,
    }
  }

  function launch (name: ProcessName, env: Record<string, string> = {}): Description {
    const description = describe(name)
    const log = openSync(at('logs', `${name}.log`), 'a', 0o600)
    // No process outlives this one, however this one ends.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, ...NODE_ARGS, ...description.args], {
      cwd: (name === 'panel' || name === 'whatsapp' ? undefined : options.rootOf?.(name)) ?? ROOT, stdio: ['ignore', log, log],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], LANG: 'C.UTF-8', ...PROCESS_ENV, ...options.env?.[name], ...description.env, ...env },
    })
    closeSync(log)
    running.set(name, child)
    return description
  }

  async function ready (name: ProcessName, { readyUrl }: Description): Promise<void> {
    const child = running.get(name)
    for (const deadline = Date.now() + readyMsMax; ; await delay(50)) {
      if (await reaches(readyUrl)) return
      if (child?.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended at its start; see ${at('logs', `${name}.log`)}`)
      if (Date.now() > deadline) throw new Error(`${name} is not ready after ${readyMsMax / 1_000} s; see ${at('logs', `${name}.log`)}`)
    }
  }

  async function link (): Promise<void> {
    await linkBot({ botUrls, whatsappUrl: address(port.whatsapp), internalSecret: secrets.value('INTERNAL_SECRET'), waitMs: readyMsMax })
  }

  async function start (name: ProcessName, env?: Record<string, string>): Promise<void> {
    await ready(name, launch(name, env))
  }

  async function ended (name: ProcessName): Promise<{ code: number | null, signal: NodeJS.Signals | null }> {
    const child = running.get(name)
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    return { code: child?.exitCode ?? null, signal: child?.signalCode ?? null }
  }

  async function kill (name: ProcessName, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = running.get(name)
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return
    const forced = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    await ended
    clearTimeout(forced)
  }

  async function close (): Promise<void> {
    await Promise.all([...running.keys()].filter((name) => name !== 'panel' && name !== 'whatsapp').map(async (name) => { await kill(name, 'SIGTERM') }))
    await Promise.all([kill('panel', 'SIGTERM'), kill('whatsapp', 'SIGTERM')])
    await nats.close()
  }

  try {
    say('Starting the doubles of the panel and of WhatsApp')
    await Promise.all([start('panel'), start('whatsapp')])
    say(`Starting ${names.join(', ')}`)
    const launched = names.map((name) => ({ name, description: launch(name) }))
    await link()
    say('The bot is linked to its account')
    // Of two bots one is a standby, which is ready only when it takes over.
    await Promise.all(launched.filter(({ name }) => !(doubled.includes('bot') && name.startsWith('bot'))).map(async ({ name, description }) => { await ready(name, description) }))
  } catch (error) {
    await close()
    throw error
  }

  return {
    nats, group, panelUrl: address(port.panel), whatsappUrl: address(port.whatsapp), memberIdKey: secrets.value('MEMBER_ID_KEY'), logDirectory: at('logs'),
    botUrl: address(port.bot), secretsDirectory: at('secrets'),
    gatewayUrls: [address(port.gateway), ...(doubled.includes('gateway') ? [address(port.gateway2)] : [])],
    healthUrl, environment: (name) => describe(name).env, pid: (name) => running.get(name)?.pid, kill, start, link, ended, close,
  }
}

async function reaches (url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    await answer.body?.cancel()
    return answer.ok
  } catch {
    return false
  }
}
