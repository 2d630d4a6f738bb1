// The dashboards of deploy/grafana are loaded.
import { defineCheck, no, Unseen, verdictOf, type Finding } from './check.ts'
import { ask, jsonOf } from './http.ts'
import { textsIn } from './repository.ts'

const LISTED_MAX = 5_000

export interface Dashboard { readonly uid: string, readonly title: string }

export const grafana = defineCheck('grafana', ['GRAFANA_URL'], async ({ settings: { GRAFANA_TOKEN }, signal }, { GRAFANA_URL }) => {
  const { database } = await jsonOf(GRAFANA_URL, '/api/health', { signal }) as { database?: string }
  const found = await ask(GRAFANA_URL, `/api/search?type=dash-db&limit=${LISTED_MAX}`, { signal, headers: GRAFANA_TOKEN === undefined ? {} : { authorization: `Bearer ${GRAFANA_TOKEN}` } })
  if (found.status === 401 || found.status === 403) throw new Unseen(`Grafana lets us list no dashboards (${found.status})`, 'GRAFANA_TOKEN: a service account with the role Viewer')
  if (found.status !== 200) throw new Unseen(`Grafana answers ${found.status}`)
  return judgeDashboards(database ?? 'unknown', (found.json() as Dashboard[]).map(({ uid }) => uid), expectedDashboards())
})

export function judgeDashboards (database: string, loaded: readonly string[], expected: readonly Dashboard[]): Finding {
  if (database !== 'ok') return no(`the database of Grafana is ${database}`, 'its log')
  return verdictOf(
    expected.filter(({ uid }) => !loaded.includes(uid)).map(({ title, uid }) => `"${title}" (${uid}) is not loaded`),
    expected.length === 0 ? 'it answers, and deploy/grafana/dashboards has none to load' : `all ${expected.length} dashboards are loaded`, 'the provisioning of Grafana points to deploy/grafana/dashboards',
  )
}

const expectedDashboards = (): Dashboard[] => textsIn('deploy/grafana/dashboards', /\.json$/).map((text) => JSON.parse(text) as Dashboard)
