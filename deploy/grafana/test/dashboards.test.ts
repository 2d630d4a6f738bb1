import t from 'tap'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { RUNBOOK_URL } from '../dashboard.ts'
import { DATASOURCE } from '../grafana.ts'
import { placesIn, runbook } from '../../../services/test/runbook.ts'

// What Grafana would be given, read as Grafana reads it: from the files. That each query finds something is services/test/dashboards.test.ts.
const ROOT = resolve(import.meta.dirname, '../../..')
const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

interface Link { readonly type: string, readonly url: string }
interface Panel {
  readonly id: number, readonly type: string, readonly title: string, readonly description?: string, readonly datasource?: typeof DATASOURCE, readonly links?: readonly Link[]
  readonly gridPos: { readonly x: number, readonly y: number, readonly w: number, readonly h: number }
  readonly targets?: ReadonlyArray<{ readonly refId: string, readonly expr: string, readonly datasource: typeof DATASOURCE }>
  readonly fieldConfig?: { readonly defaults: { readonly unit: string, readonly thresholds: { readonly steps: ReadonlyArray<{ readonly value: number | null }> } } }
}
interface Dashboard { readonly uid: string, readonly title: string, readonly schemaVersion: number, readonly time: { readonly from: string, readonly to: string }, readonly links: readonly Link[], readonly panels: readonly Panel[] }

const PLACES = placesIn(runbook)

const files = readdirSync(join(ROOT, 'deploy/grafana/dashboards')).toSorted()
const dashboards = files.map((file) => ({ file, ...JSON.parse(textOf(`deploy/grafana/dashboards/${file}`)) as Dashboard }))
const titled = ({ title }: Panel): string => title
const overlaps = (one: Panel['gridPos'], other: Panel['gridPos']): boolean => one.x < other.x + other.w && other.x < one.x + one.w && one.y < other.y + other.h && other.y < one.y + one.h

t.test('the four dashboards', async (t) => {
  t.same(files, ['nats-and-hosts.json', 'overview.json', 'pipeline.json', 'whatsapp.json'])
  t.same(dashboards.map(({ uid }) => uid), files.map((file) => `klaim-${file.replace('.json', '')}`), 'have the uid of their file, so links to them stay')
  t.equal(new Set(dashboards.map(({ title }) => title)).size, files.length, 'and titles of their own')
  t.ok(dashboards.every(({ schemaVersion, time }) => schemaVersion === 42 && /^now-\d+h$/.test(time.from) && time.to === 'now'))
})

for (const { file, panels, links } of dashboards) {
  t.test(file, async (t) => {
    const shown = panels.filter(({ type }) => type !== 'row')
    t.ok(shown.length >= 12, 'there is something to see')
    t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'each panel has an id of its own')
    t.same(shown.filter(({ description = '' }) => description.length < 20).map(titled), [], 'each says in words what it is')
    t.same(panels.filter(({ gridPos: { x, w, h } }) => x < 0 || x + w > 24 || w < 1 || h < 1).map(titled), [], 'each is within the 24 columns')
    t.same(panels.filter((panel, n) => panels.some((other, m) => m < n && overlaps(panel.gridPos, other.gridPos))).map(titled), [], 'none covers another')
    const drawn = shown.filter(({ type }) => type !== 'text')
    t.same(drawn.filter(({ datasource, targets = [] }) => targets.length === 0 || [datasource, ...targets.map((target) => target.datasource)].some((each) => each?.uid !== DATASOURCE.uid)).map(titled), [], 'each asks the one Prometheus')
    t.same(drawn.filter(({ fieldConfig }) => !fieldConfig?.defaults.unit).map(titled), [], 'each has a unit')
    const rises = (steps: ReadonlyArray<{ value: number | null }>): boolean => steps[0]?.value === null && steps.slice(1).every(({ value }, n) => value !== null && value > (steps[n]?.value ?? -Infinity))
    t.same(drawn.filter(({ fieldConfig }) => !rises(fieldConfig?.defaults.thresholds.steps ?? [])).map(titled), [], 'and thresholds that rise')
    const anchors = [...links, ...panels.flatMap((panel) => panel.links ?? [])].filter(({ type }) => type === 'link').map(({ url }) => url)
    t.ok(anchors.length > 3, 'it leads to the runbook')
    t.same(anchors.filter((url) => url !== RUNBOOK_URL && !(url.startsWith(`${RUNBOOK_URL}#`) && PLACES.has(url.slice(RUNBOOK_URL.length + 1)))), [], 'where each place is there')
  })
}

t.test('provisioning', async (t) => {
  const datasource = textOf('deploy/grafana/provisioning/datasources/prometheus.yml')
  t.equal(/^ +uid: (\S+)$/m.exec(datasource)?.[1], DATASOURCE.uid, 'gives Prometheus the uid that panels name')
  t.equal(/^ +timeInterval: (\S+)$/m.exec(datasource)?.[1], /^ +scrape_interval: (\S+)$/m.exec(textOf('deploy/prometheus/prometheus.yml'))?.[1], 'and says how often it scrapes: $__rate_interval comes from that')
})
