// Where the drills are held: the whole system with its doubles; Prometheus, node_exporter and Alertmanager with what this repository gives them; somebody
// on call who hears of alerts, an admin who reads of them, and a shell in which the commands of the runbook are typed.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { startAlertmanager, startReceiver, type Heard } from '../../../deploy/prometheus/test/watch.ts'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { startSystem, type System } from '../../../deploy/staging/system.ts'
import { numberOf } from '../crowd.ts'
import { actor, put, until } from '../journey.ts'
import { operatorOf, type Output } from '../operator.ts'
import { startPrometheus, type Prometheus } from '../prometheus.ts'
import { clockFileOf } from '../chaos/faults.ts'
import { repeating } from './deeds.ts'
import { startPassage, type Passage } from './passage.ts'

export interface Member extends ReturnType<typeof actor> { readonly number: string }

export interface Field {
  readonly system: System
  readonly prometheus: Prometheus
  /** Where the canary has its metrics, while there is one. */
  readonly canaryPort: number
  /** From reaper to the bot. */
  readonly passage: Passage
  /** Alertmanager's copy, which it reads at every message. */
  readonly alertsSecretFile: string
  /** How many times less the rules wait. */
  readonly factor: number
  readonly directory: string
  /** All that Alertmanager has told, to whomever, oldest first. */
  readonly heard: readonly Heard[]
  /** Labels of the alerts that Alertmanager keeps quiet because of others. */
  readonly suppressed: () => Promise<ReadonlyArray<Readonly<Record<string, string>>>>
  /** What the admin's phone shows of the bot, oldest first. */
  readonly adminReads: () => Promise<string[]>
  /** A command as it stands in RUNBOOK.md. `input` is typed into it. */
  readonly run: (command: string, input?: string) => Promise<Output>
  /** … that has to succeed; answers what it printed. */
  readonly follow: (command: string, input?: string) => Promise<string>
  /** Somebody in the group who has not claimed yet. */
  readonly member: () => Member
  readonly panelKnobs: (knobs: unknown) => Promise<void>
  readonly whatsappKnobs: (knobs: unknown) => Promise<void>
  /** What the double of WhatsApp is told by its control door. */
  readonly whatsapp: (path: string, body?: unknown) => Promise<unknown>
  /** What is done behind the panel's back. */
  readonly behindPanel: (call: string, body: unknown) => Promise<unknown>
  /** What an administrator of the panel does there. */
  readonly panel: (method: string, path: string, body?: object) => Promise<Record<string, unknown>>
  /** By how much the clock of reaper is wrong from now on. */
  readonly setReaperClock: (wrongMs: number) => void
  /** What makes a backup every six hours. */
  readonly timer: { readonly begin: () => void, readonly end: () => Promise<void> }
  readonly close: () => Promise<void>
}

const CLOCK = resolve(import.meta.dirname, '../chaos/clock.ts')
const COMMAND_MS_MAX = 90_000
const SAID_MAX = 20_000
/** Who is told of alerts; outside the group. */
const ADMIN = '6281300000001'

const MINUTE = 60_000
export const INSTALL_DELAY_MS = 300
/** In the group. */
export const MEMBERS = 90
const GRACE_MS = 20_000

/** The waits of the services themselves by the same factor, so that the rules meet what they are for; what is no wait of a rule is as short as in other tests. */
function settings (factor: number, directory: string, passage: Passage): NonNullable<Parameters<typeof startSystem>[0]['env']> {
  const sooner = (ms: number): string => String(Math.max(100, Math.round(ms / factor)))
  return {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: String(INSTALL_DELAY_MS), PANEL_DOUBLE_START_DELAY_MS: '100', PANEL_DOUBLE_PORTS_PER_NODE: '100' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000', RATE_LIMIT_JID_PER_MINUTE: '10000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200', DRIFT_EVERY_MS: sooner(15 * MINUTE), INVENTORY_FRESH_MS: sooner(MINUTE), PANEL_PATIENCE_MS: sooner(MINUTE) },
    reaper: { SWEEP_EVERY_MS: sooner(MINUTE), POSTPONE_MS: sooner(5 * MINUTE), BOT_URL: passage.url, NODE_OPTIONS: `--import=${CLOCK}`, CHAOS_CLOCK_FILE: clockFileOf(directory, 'reaper') },
    bot: {
      ROSTER_EVERY_MS: sooner(2 * MINUTE), ROSTER_MAX_AGE_MS: sooner(10 * MINUTE), ROSTER_CONFIRM_MS: sooner(10 * MINUTE), ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200', ANSWER_TIMEOUT_MS: '2000',
      RECONNECT_MAX_MS: sooner(5 * MINUTE), SEND_GAP_MS: '50', LEASE_MS: '8000', LOOKUPS_PER_MINUTE: '1000', ALERT_NUMBERS: ADMIN, ALERT_MESSAGES_PER_HOUR: '60',
    },
  }
}

export async function startField (directory: string, { factor }: { factor: number }): Promise<Field> {
  const closing: Array<() => Promise<void>> = []
  const close = async (): Promise<void> => { for (const each of closing.splice(0).toReversed()) await each() }
  const opened = async <Opened extends { readonly close: () => Promise<void> }>(opening: Promise<Opened>): Promise<Opened> => {
    const one = await opening
    closing.push(async () => { await one.close() })
    return one
  }
  try {
    return await open()
  } catch (error) {
    await close()
    throw error
  }

  async function open (): Promise<Field> {
    const passage = await opened(startPassage())
    const system = await opened(startSystem({ directory: join(directory, 'system'), graceMs: GRACE_MS, members: MEMBERS, outsiders: 3, doubled: ['notifier'], env: settings(factor, directory, passage) }))
    passage.leadTo(system.botUrl)
    const secret = (name: string): string => join(system.secretsDirectory, name)
    const receiver = await opened(startReceiver())
    const alertsSecretFile = join(directory, 'alerts_secret')
    copyFileSync(secret('alerts_secret'), alertsSecretFile)
    const alertmanager = await opened(startAlertmanager(directory, { to: receiver.address, bot: system.botUrl, secretFile: alertsSecretFile, factor }))
    const prometheus = await opened(startPrometheus(system, directory, { factor, alertmanager: alertmanager.address }))
    mkdirSync(join(directory, 'backups'), { mode: 0o700 })

    const canaryPort = await freePort()
    const hostOf = (url: string): string => new URL(url).host
    const onCall = operatorOf(system, join(directory, 'system'), {
      places: [['127.0.0.1:9090', hostOf(prometheus.url)], ['127.0.0.1:9093', alertmanager.address], ['127.0.0.1:9100', hostOf(prometheus.nodeExporterUrl)], ['127.0.0.1:9207', `127.0.0.1:${canaryPort}`]],
      env: { BACKUP_DIRECTORY: join(directory, 'backups'), BACKUP_METRICS_FILE: join(prometheus.textfiles, 'klaim_backup.prom') },
    })
    const run = async (command: string, input = ''): Promise<Output> => {
      const { code, said } = await onCall.run(command, { input, msMax: COMMAND_MS_MAX })
      return { code, said: said.slice(-SAID_MAX) }
    }
    await run('nats context save klaim --server="$NATS_URL" --nkey=/etc/klaim/nats_operator.nk --select')

    let claimants = 0
    const field: Field = {
      system, prometheus, canaryPort, passage, factor, directory, run, heard: receiver.heard, alertsSecretFile,
      suppressed: async () => {
        const alerts = await (await fetch(`http://${alertmanager.address}/api/v2/alerts?inhibited=true`)).json() as Array<{ labels: Record<string, string>, status: { inhibitedBy: string[] } }>
        return alerts.filter(({ status }) => status.inhibitedBy.length > 0).map(({ labels }) => labels)
      },
      adminReads: async () => (await actor(system, ADMIN).chat()).filter(({ from }) => from === 'bot').map(({ text }) => text),
      follow: async (command, input) => {
        const { code, said } = await run(command, input)
        if (code !== 0) throw new Error(`${command} ended with ${code}: ${said}`)
        return said
      },
      member: () => {
        if (claimants >= MEMBERS) throw new Error('everybody in the group has claimed')
        const number = numberOf(++claimants)
        return { number, ...actor(system, number) }
      },
      panelKnobs: async (knobs) => { await put(`${system.panelUrl}/__double/knobs`, 'PUT', knobs) },
      whatsappKnobs: async (knobs) => { await put(`${system.whatsappUrl}/knobs`, 'PATCH', knobs) },
      whatsapp: async (path, body = {}) => await put(`${system.whatsappUrl}/${path}`, 'POST', body),
      behindPanel: async (call, body) => await put(`${system.panelUrl}/__double/${call}`, 'POST', body),
      panel: async (method, path, body) => {
        const answer = await fetch(`${system.panelUrl}/api/application${path}`, {
          method, headers: { authorization: `Bearer ${readFileSync(secret('panel_key'), 'utf8').trim()}`, accept: 'application/json', 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        })
        const text = await answer.text()
        if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status} ${text}`)
        return text === '' ? {} : JSON.parse(text) as Record<string, unknown>
      },
      setReaperClock: (wrongMs) => { writeFileSync(clockFileOf(directory, 'reaper'), String(wrongMs)) },
      timer: repeating(async () => await run('scripts/backup'), 6 * 60 * MINUTE / factor),
      close,
    }
    closing.push(field.timer.end)
    await makeUsual(field)
    return field
  }
}

/** As on any other day: the admin has written to the bot once, there is a backup, somebody has a server, and nothing fires. */
async function makeUsual ({ system, timer, member, prometheus, adminReads }: Field): Promise<void> {
  await actor(system, ADMIN).write('STATUS')
  const first = member()
  const { body: { claim_id: claimId } } = await first.claim()
  await until('somebody has a server', async () => (await first.progress(claimId)).status === 'active' || undefined)
  timer.begin()
  await until('the admin is answered', async () => (await adminReads()).length > 0 || undefined)
  await until('nothing fires but the watchdog', async () => (await prometheus.alerts()).every(({ labels }) => labels['alertname'] === 'Watchdog') || undefined)
}
