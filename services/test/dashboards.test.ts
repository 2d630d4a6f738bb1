// Every panel of every dashboard, asked as Grafana would ask it, of a real Prometheus that scraped the running system while people claimed,
// failed, left, came back, were deleted and missed their login. A panel that has nothing to show then has nothing to show ever.
import t from 'tap'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { jetstream } from '@nats-io/jetstream'
import { DASHBOARDS } from '../../deploy/grafana/dashboards.ts'
import { freePort } from '../../deploy/staging/nats/nats-server.ts'
import { SERVICES, startSystem } from '../../deploy/staging/system.ts'
import { connectNats } from '../common/connect.ts'
import { scratch } from '../common/test/scratch.ts'
import { startCanary } from './canary.ts'
import { actor, journey, put, until } from './journey.ts'
import { carryOut } from './procedures.ts'
import { SCRAPE_S, startPrometheus, type Series } from './prometheus.ts'

interface Target { readonly expr: string, readonly instant: boolean, readonly legendFormat?: string }
interface Panel { readonly title: string, readonly type: string, readonly interval?: string, readonly targets?: readonly Target[] }
interface Dashboard { readonly time: { readonly from: string }, readonly panels: readonly Panel[], readonly templating: { readonly list: ReadonlyArray<{ readonly name: string, readonly definition: string }> } }

const ROOT = resolve(import.meta.dirname, '../..')
const dashboards = [...DASHBOARDS.keys()].map((path) => ({ path, ...JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Dashboard }))
const directory = scratch(t)
const system = await startSystem({
  directory: join(directory, 'system'), graceMs: 20_000, members: 8,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '600', PANEL_DOUBLE_START_DELAY_MS: '200' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200', DRIFT_EVERY_MS: '2000' },
    reaper: { SWEEP_EVERY_MS: '1000', POSTPONE_MS: '1000' },
    bot: { SEND_GAP_MS: '50', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
  },
})
t.teardown(async () => { await system.close() })
// An alert that fires, as those of deploy/prometheus/rules might.
const prometheus = await startPrometheus(system, directory, { rules: 'groups: [{name: of-the-test, rules: [{alert: Fires, expr: vector(1), labels: {severity: page}}]}]' })
t.teardown(async () => { await prometheus.close() })
const began = Math.floor(Date.now() / 1_000)

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 }
const seconds = (text: string): number => Number(/\d+/.exec(text)?.[0]) * (SECONDS[text.at(-1) ?? ''] ?? Number.NaN)

/** All that a variable may be, as Grafana puts "All" into a query. */
async function variables ({ templating }: Dashboard): Promise<Map<string, string>> {
  return new Map(await Promise.all(templating.list.map(async ({ name, definition }) => {
    const [, metric = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? []
    const values = await prometheus.valuesOf(metric, label)
    return [name, `(${values.map((value) => value.replace(/[\\^$*+?.()|[\]{}]/g, '\\\\$&')).join('|')})`] as const
  })))
}

/** Grafana's own variables too: $__rate_interval is the larger of $__interval + scrape and 4 × scrape. */
function interpolated (expr: string, { rangeS, stepS, values }: { rangeS: number, stepS: number, values: ReadonlyMap<string, string> }): string {
  const known = new Map([['__range', `${rangeS}s`], ['__interval', `${stepS}s`], ['__rate_interval', `${Math.max(stepS + SCRAPE_S, 4 * SCRAPE_S)}s`], ...values])
  return expr.replace(/\$(\w+)/g, (_, name: string) => known.get(name) ?? `(no variable ${name})`)
}

const NO_METRICS = new Set(['sum', 'max', 'min', 'avg', 'count', 'by', 'on', 'or', 'and', 'offset', 'bool', 'time', 'vector', 'label_replace', 'sort_desc', 'round', 'abs', 'clamp_min', 'rate', 'increase', 'changes', 'max_over_time', 'histogram_quantile'])
/** Every series that a query speaks of: what stands behind `or vector(0)` must not hide that the rest is misspelt. */
function selectorsOf (query: string): string[] {
  const blank = (text: string): string => '.'.repeat(text.length)
  const masked = query.replaceAll(/"(?:[^"\\]|\\.)*"/g, blank).replaceAll(/\b(?:by|on) \([^)]*\)|\[[^\]]*\]/g, blank)
  return [...masked.matchAll(/(?<![\w.])[a-zA-Z_:][\w:]*(?:\{[^}]*\})?/g)].filter(([text]) => !NO_METRICS.has(text)).map(({ index, 0: { length } }) => query.slice(index, index + length))
}

/** Why a panel would show nothing; undefined where it does not. */
async function faultOf ({ expr, instant }: Target, { interval }: Pick<Panel, 'interval'>, rangeS: number, values: ReadonlyMap<string, string>): Promise<string | undefined> {
  const end = Math.floor(Date.now() / 1_000)
  const step = Math.max(interval === undefined ? SCRAPE_S : seconds(interval), Math.ceil((end - began) / 1_000))
  const query = interpolated(expr, { rangeS, stepS: step, values })
  for (const selector of selectorsOf(query)) {
    if (await prometheus.count(selector, began) === 0) return `there is no ${selector}`
  }
  // The last point is now, as in Grafana.
  const seen = instant ? await prometheus.now(query) : await prometheus.over(query, { start: end - Math.floor((end - began) / step) * step, end, step })
  return seen.some(({ values: numbers }) => numbers.length > 0) ? undefined : `nothing comes of ${query}`
}

const firstOf = (series: readonly Series[]): number => series[0]?.values[0] ?? Number.NaN
/** What the overview shows in a box, now. */
async function box (title: string): Promise<number> {
  const overview = dashboards.find(({ path }) => path.endsWith('/overview.json'))
  const target = overview?.panels.find((panel) => panel.title === title)?.targets?.[0]
  return firstOf(await prometheus.now(interpolated(target?.expr ?? `there is no ${title}`, { rangeS: 86_400, stepS: 60, values: new Map() })))
}

const panelKnobs = async (knobs: unknown): Promise<void> => { await put(`${system.panelUrl}/__double/knobs`, 'PUT', knobs) }
const install = async (how: 'success' | 'failure'): Promise<void> => { await panelKnobs({ wings: { '*': { install: how } } }) }

t.test('a crowd lives', async (t) => {
  await until('every service is scraped, twice', async () => await box('Bagian Klaim yang hidup') === SERVICES.length && await box('Klaim masuk') === 0 && await box('Login tidak sampai') === 0 || undefined)

  const [failing, unreached] = [actor(system, '6281200000002'), actor(system, '6281200000003')]
  await install('failure')
  const { body: { claim_id: failed } } = await failing.claim()
  await until('a claim fails, and its member is told', async () => (await failing.progress(failed)).status === 'failed' && (await failing.chat()).length > 0 || undefined)
  await install('success')

  // The panel is away for a moment, and WhatsApp refuses the login.
  await panelKnobs({ panel: { answerNext: [{ route: 'POST /users', status: 502, times: 1 }] } })
  await put(`${system.whatsappUrl}/knobs`, 'PATCH', { refuseSends: { code: 463, remaining: 1 } })
  t.equal((await unreached.claim()).status, 202)
  await until('a login does not arrive', async () => await box('Login tidak sampai') === 1 || undefined)
  await unreached.write('STATUS')

  await journey(t, system, 1, async () => {})

  const operator = await connectNats(system.nats.access('operator'), 'operator')
  t.teardown(() => operator.close())
  await jetstream(operator).publish(`servers.${randomUUID()}.ready`, 'this is no event')
  await until('a message is given up', async () => await box('Pekerjaan yang macet') === 1 || undefined)

  await put(`${system.whatsappUrl}/close`, 'POST', { code: 503 })
  await until('the bot connects again', async () => firstOf(await prometheus.now('klaim_whatsapp_closes_total{code="503"}')) > 0 && await box('Sambungan WhatsApp') === 1 || undefined)

  const said = await carryOut('scripts/backup', system.secretsDirectory, { env: {
    ...system.nats.env('operator'), LEDGER_KEYS_FILE: join(system.secretsDirectory, 'ledger_keys'), NATS_SERVER: process.env['NATS_SERVER'] ?? '',
    BOOK_FILE: join(directory, 'system', 'book', 'claims.json'), BACKUP_DIRECTORY: join(directory, 'backups'), BACKUP_METRICS_FILE: join(prometheus.textfiles, 'klaim_backup.prom'),
  } })
  t.match(said, /^✓ /, 'a backup is made')
  await until('the backup is seen', async () => await box('Cadangan terakhir') >= 0 || undefined)
})

t.test('the overview tells what happened', async (t) => {
  const story = {
    'Bagian Klaim yang hidup': 6, 'Sambungan WhatsApp': 1, 'Daftar anggota grup': 1, Panel: 1, 'Penghapusan server': 0,
    'Klaim masuk': 3, 'Server jadi': 2, 'Klaim gagal': 1, 'Login tidak sampai': 1,
    'Keluar dari grup': 2, 'Kembali ke grup': 1, 'Server dihapus': 1, 'Penghapusan keliru': 0, 'Pekerjaan yang macet': 1,
    'Server yang dipakai': 1, 'Sedang dibuat': 0, 'Akan dihapus': 0,
  }
  for (const [title, number] of Object.entries(story)) t.equal(await box(title), number, title)
  t.ok(await box('Alarm') >= 1 && await box('Cadangan terakhir') < 1 && await box('Biasanya menunggu') > 0)
  // One of three: the others failed, or did not arrive.
  t.ok(Math.abs(await box('Selesai dalam 2 menit') - 1 / 3) < 0.05)
})

t.test('the canary comes through', async () => {
  // Seen from the beginning of its one run.
  const port = await freePort()
  prometheus.watchCanary(`127.0.0.1:${port}`)
  await until('it is missed', async () => (await prometheus.now('up{job="canary"}')).length > 0 || undefined)
  const canary = startCanary(system, { number: '6281200000008', healthPort: port, every: '6h' })
  t.teardown(async () => { await canary.end() })
  await until('it has come through', async () => (await prometheus.now('klaim_canary_runs_total{result="ok"} > 0')).length > 0 || undefined)
})

for (const dashboard of dashboards) {
  t.test(dashboard.path, async (t) => {
    const values = await variables(dashboard)
    t.notOk([...values.values()].includes('()'), 'its variables have values')
    for (const panel of dashboard.panels) {
      for (const [n, target] of (panel.targets ?? []).entries()) {
        t.equal(await faultOf(target, panel, seconds(dashboard.time.from), values), undefined, `${panel.title}${n === 0 ? '' : `, ${target.legendFormat ?? n}`}`)
      }
    }
  })
}

t.test('a query that is wrong is found', async (t) => {
  const fault = async (expr: string, instant = true) => await faultOf({ expr, instant }, {}, 3_600, new Map())
  t.equal(await fault('max(klaim_claims{status="active"}) or vector(0)'), undefined)
  t.equal(await fault('max(klaim_clams) or vector(0)'), 'there is no klaim_clams')
  t.equal(await fault('max(klaim_claims{status="activ"}) or vector(0)'), 'there is no klaim_claims{status="activ"}')
  t.match(await fault('klaim_claims > 1000', false), /^nothing comes of/)
  t.match(await fault('sum(klaim_claims) / 0 * 0'), /^nothing comes of/, 'NaN is no number')
  await t.rejects(fault('max(klaim_claims'), /parse error/)
})

t.test('what is down does not look well', async (t) => {
  await system.kill('reaper')
  await system.kill('bot')
  await until('two are missing', async () => await box('Bagian Klaim yang hidup') === SERVICES.length - 2 || undefined)
  t.same([await box('Penghapusan server'), await box('Sambungan WhatsApp'), await box('Daftar anggota grup')], [-1, -1, -1], 'nobody says how it is')
})
