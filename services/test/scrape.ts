// What Prometheus would see of a running system, and what promtool says of it.
import { spawnSync } from 'node:child_process'
import { SERVICES, type Service, type System } from '../../deploy/staging/system.ts'

export interface Scrape {
  /** As each service gave it. */
  readonly texts: ReadonlyMap<Service, string>
  /** The sum of the series of this name which have all these labels; NaN where there is none. */
  readonly value: (name: string, labels?: Readonly<Record<string, string>>) => number
  /** Every value of a label of the series of this name. */
  readonly labelsOf: (name: string, label: string) => string[]
}

export async function scrape (system: System): Promise<Scrape> {
  const texts = new Map(await Promise.all(SERVICES.map(async (service) => {
    const answer = await fetch(`${system.healthUrl(service)}/metrics`, { signal: AbortSignal.timeout(5_000) })
    if (!answer.ok) throw new Error(`${service} answered ${answer.status}`)
    return [service, await answer.text()] as const
  })))
  const series = [...texts.values()].flatMap((text) => text.split('\n')).flatMap((line) => {
    const [, name = '', labels = '', value = ''] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    return name === '' ? [] : [{ name, labels: new Map([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', text = '']) => [label, text])), value: Number(value) }]
  })
  return {
    texts,
    value: (name, labels = {}) => {
      const found = series.filter((each) => each.name === name && Object.entries(labels).every(([label, text]) => each.labels.get(label) === text))
      return found.length === 0 ? Number.NaN : found.reduce((sum, { value }) => sum + value, 0)
    },
    labelsOf: (name, label) => [...new Set(series.filter((each) => each.name === name).map(({ labels }) => labels.get(label) ?? ''))].toSorted(),
  }
}

/** What promtool finds fault with; nothing, where a text is as it should be. */
export function faultsIn (text: string): string {
  const { error, stdout, stderr, status } = spawnSync(process.env['PROMTOOL'] || 'promtool', ['check', 'metrics'], { input: text, encoding: 'utf8', timeout: 20_000 })
  if (error) throw new Error('promtool is not there; run this by scripts/test, which gets it', { cause: error })
  return `${stdout}${stderr}` || (status === 0 ? '' : `promtool ended with ${status}`)
}
