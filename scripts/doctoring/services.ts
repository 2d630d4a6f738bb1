// The six services: known to NATS, of one version, and able to do their work.
import { Svcm } from '@nats-io/services'
import { isServing, SERVICE_NAMES } from '../../contracts/services.ts'
import { defineCheck, no, Unseen, verdictOf, type Finding } from './check.ts'
import { ask } from './http.ts'
import { ANSWERS } from './world.ts'

/** What one internal port says. */
export interface Seen {
  readonly url: string
  /** Undefined where nothing answers, or no service of Klaim. */
  readonly service: string | undefined
  /** Empty where it is ready. */
  readonly unready: ReadonlyArray<readonly [check: string, why: string]>
  readonly skewS?: number
}

const STANDBY = 'standby'

export const servicesRegistered = defineCheck('services-registered', [], async (world) => {
  const found: Array<{ name: string, version: string }> = []
  for await (const { name, version } of await new Svcm(await world.nats()).client(ANSWERS).ping()) found.push({ name, version })
  return judgeRegistered(found)
})

export function judgeRegistered (found: ReadonlyArray<{ name: string, version: string }>): Finding {
  const ours = found.filter(({ name }) => isServing(name))
  const versions = [...new Set(ours.map(({ version }) => version))].toSorted()
  const missing = SERVICE_NAMES.filter((service) => !ours.some(({ name }) => name === service))
  if (missing.length > 0) return no(`${missing.join(', ')}: not there`, 'start it; its log says why it ended')
  if (versions.length > 1) {
    const running = versions.map((version) => `${version} (${[...new Set(ours.filter((each) => each.version === version).map(({ name }) => name))].join(', ')})`)
    return no(`different versions run: ${running.join('; ')}`, 'deploy the same one to all')
  }
  return verdictOf([], `${SERVICE_NAMES.length} services of version ${versions[0]} in ${ours.length} processes`, '')
}

export const servicesReady = defineCheck('services-ready', ['HEALTH_URLS'], async (world, { HEALTH_URLS }) => judgeReady(await lookAtServices(HEALTH_URLS.split(','), world.signal)))

export function judgeReady (seen: readonly Seen[]): Finding {
  const dead = seen.filter(({ service }) => service === undefined).map(({ url }) => `${url} is no service that answers`)
  const missing = SERVICE_NAMES.filter((service) => !seen.some((each) => each.service === service)).map((service) => `${service} is at none of HEALTH_URLS`)
  const isReady = ({ unready }: Seen): boolean => unready.length === 0
  // Of two bots one stands by, and is not ready for as long.
  const standsBy = ({ service, unready }: Seen): boolean => unready.some(([, why]) => why === STANDBY) && seen.some((other) => other.service === service && isReady(other))
  const unready = seen.filter((each) => each.service !== undefined && !isReady(each) && !standsBy(each)).map(({ service, unready: reasons }) => `${service} is not ready: ${reasons.map(([check, why]) => `${check} ${why}`).join(', ')}`)
  return verdictOf([...dead, ...missing, ...unready], `${seen.filter(isReady).length} processes can do their work`, 'the log of that service; RUNBOOK.md, "Codes"', seen.filter(standsBy).map(({ service }) => `a second ${service} stands by`))
}

export async function lookAtServices (urls: readonly string[], signal: AbortSignal): Promise<Seen[]> {
  return await Promise.all(urls.map(async (url) => {
    try {
      const [ready, metrics] = await Promise.all([ask(url, '/readyz', { signal }), ask(url, '/metrics', { signal })])
      return { url, service: /\bservice="([a-z-]{1,32})"/.exec(metrics.text)?.[1], unready: unreadyIn(ready.status, ready.json()), ...skewIn(metrics.text) }
    } catch (error) {
      if (!(error instanceof Unseen)) throw error
      return { url, service: undefined, unready: [] }
    }
  }))
}

function unreadyIn (status: number, body: unknown): Array<[string, string]> {
  const { checks } = body as { checks?: Record<string, unknown> }
  const failing = Object.entries(checks ?? {}).filter(([, why]) => why !== 'ok').map(([check, why]): [string, string] => [check, String(why).slice(0, 60)])
  return status === 200 ? [] : failing.length > 0 ? failing : [['readyz', String(status)]]
}

function skewIn (metrics: string): { skewS?: number } {
  const [, text] = /^klaim_clock_skew_seconds\{[^}]*\} (-?[\d.e+-]+)$/m.exec(metrics) ?? []
  return text === undefined || !Number.isFinite(Number(text)) ? {} : { skewS: Number(text) }
}
