// The dashboards as files for Grafana; scripts/docs writes them, and a test holds them to what is described here.
import { dashboard } from './dashboard.ts'
import { natsAndHosts } from './nats-and-hosts.ts'
import { overview } from './overview.ts'
import { pipeline } from './pipeline.ts'
import { whatsapp } from './whatsapp.ts'
import type { WrittenDashboard } from './grafana.ts'

/** Path below the repository → dashboard. */
export const DASHBOARDS: ReadonlyMap<string, WrittenDashboard> = new Map([overview, pipeline, whatsapp, natsAndHosts].map((description) => [`deploy/grafana/dashboards/${description.name}.json`, dashboard(description)]))
