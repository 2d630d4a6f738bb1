// A nats-server as in production: the users and rights of deploy/nats, and the streams of the catalogue. For tests, the demo and staging.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServiceName } from '../../contracts/define.ts'
import { connectNats, type NatsAccess } from '../../services/common/connect.ts'
import { ensureTopology } from '../../services/common/topology.ts'
import { clusterText, usersText, type NatsKeys, type NatsUser } from '../nats/config.ts'
import { randomSecret } from '../secrets/creation.ts'
import type { Directory } from '../secrets/directory.ts'
import { natsKeys } from '../secrets/nats-keys.ts'
import { NATS_KEY_OWNERS, newSeed, publicKeyOf, seedFileOf } from '../secrets/nats-seed.ts'
import { freePort, startNats, type Nats, type NatsOptions } from './nats/nats-server.ts'

export interface KlaimNats extends Nats {
  /** The servers by name; `url` names all of them, everything else of a `Nats` is the first one's. */
  readonly nodes: ReadonlyMap<string, Nats>
  /** How a service reaches this server, with its own rights. */
  access (user: NatsUser): NatsAccess
  /** The same as environment variables. */
  env (user: NatsUser): { NATS_URL: string, NATS_NKEY_SEED: string }
  /** Lets in these keys, and no others any more, without a restart. */
  reload (keys: NatsKeys): Promise<void>
  /** Brings back what a test has taken away. */
  restoreTopology (): Promise<void>
  /** For the bus of a test that plays a service and looks around as well: the service's name with the operator's rights. */
  playing <Service extends ServiceName> (service: Service): NatsAccess & { readonly service: Service }
}

export interface NatsSeeds { readonly seeds: Readonly<Record<NatsUser | 'system', string>>, readonly keys: NatsKeys }

/** As they stand in a directory of secrets. */
export function natsSeedsIn (directory: Directory): NatsSeeds {
  return { seeds: Object.fromEntries(NATS_KEY_OWNERS.map((owner) => [owner, directory.text(seedFileOf(owner))])) as NatsSeeds['seeds'], keys: natsKeys(directory) }
}

/** New ones. */
export function natsSeeds (): NatsSeeds {
  const seeds = Object.fromEntries(NATS_KEY_OWNERS.map((owner) => [owner, newSeed()])) as NatsSeeds['seeds']
  return { seeds, keys: Object.fromEntries(NATS_KEY_OWNERS.map((owner) => [owner, [publicKeyOf(seeds[owner])]])) as unknown as NatsKeys }
}

export const serverConfig = (keys: NatsKeys, cluster = ''): string =>
  // As text in one piece: the server is started on a copy, beside which nothing else lies.
  `max_payload: 1MB\njetstream { max_memory_store: 256MB, max_file_store: 16GB, sync_interval: always }\n${usersText(keys)}` +
  `accounts {\n  KLAIM { jetstream: enabled, users: $KLAIM_USERS }\n  SYSTEM { users: $SYSTEM_USERS }\n}\nsystem_account: SYSTEM\n${cluster}`

/** `bare`: without the streams. `replicas`: 3 makes a cluster of three nodes. */
export async function startKlaimNats ({ seeds: given = natsSeeds(), bare = false, replicas = 1, ...options }: Omit<NatsOptions, 'configFile' | 'clustered'> & { seeds?: NatsSeeds, bare?: boolean, replicas?: 1 | 3 } = {}): Promise<KlaimNats> {
  const names = Array.from({ length: replicas }, (_, n) => `node${n + 1}`)
  const routePorts = await Promise.all(names.map(async () => await freePort()))
  const routes = routePorts.map((port) => `127.0.0.1:${port}`)
  const password = randomSecret()
  const clusterOf = (n: number): string => replicas === 1 ? '' : clusterText({ serverName: names[n] ?? '', listen: routes[n] ?? '', routes, password, hasTls: false })
  const started = await Promise.all(names.map(async (name, n) => {
    const configFile = join(mkdtempSync(join(tmpdir(), 'klaim-nats-conf-')), 'nats.conf')
    writeFileSync(configFile, serverConfig(given.keys, clusterOf(n)))
    const node = await startNats({ ...options, ...(options.storeDir === undefined || replicas === 1 ? {} : { storeDir: join(options.storeDir, name) }), configFile })
    return [name, node] as const
  }))
  const nodes = new Map(started)
  const [[, first]] = started as [readonly [string, Nats]]
  const nats: Nats = { ...first, url: started.map(([, node]) => node.url).join(','), close: async () => { await Promise.all(started.map(async ([, node]) => { await node.close() })) } }
  const access = (user: NatsUser): NatsAccess => ({ servers: nats.url, seed: given.seeds[user] })
  const restoreTopology = async (): Promise<void> => {
    const operator = await connectNats(access('operator'), 'operator')
    try {
      await ensureTopology(operator, replicas)
    } finally {
      await operator.close()
    }
  }
  if (!bare) await restoreTopology()
  return {
    ...nats, nodes, access, restoreTopology,
    reload: async (keys) => {
      await Promise.all(started.map(async ([, node], n) => {
        writeFileSync(node.configFile, serverConfig(keys, clusterOf(n)))
        await node.kill('SIGHUP')
      }))
    },
    env: (user) => ({ NATS_URL: nats.url, NATS_NKEY_SEED: given.seeds[user] }),
    playing: (service) => ({ ...access('operator'), service }),
  }
}
