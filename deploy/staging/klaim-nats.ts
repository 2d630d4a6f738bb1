// A nats-server as in production: the users and rights of deploy/nats, and the streams of the catalogue. For tests, the demo and staging.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import type { ServiceName } from '../../contracts/define.ts'
import { connectNats, type NatsAccess } from '../../services/common/connect.ts'
import { ensureTopology } from '../../services/common/topology.ts'
import { NATS_USERS, usersText, type NatsKeys, type NatsUser } from '../nats/config.ts'
import { startNats, type Nats, type NatsOptions } from './nats/nats-server.ts'

export interface KlaimNats extends Nats {
  /** How a service reaches this server, with its own rights. */
  access (user: NatsUser): NatsAccess
  /** The same as environment variables. */
  env (user: NatsUser): { NATS_URL: string, NATS_NKEY_SEED: string }
  /** Brings back what a test has taken away. */
  restoreTopology (): Promise<void>
  /** For the bus of a test that plays a service and looks around as well: the service's name with the operator's rights. */
  playing <Service extends ServiceName> (service: Service): NatsAccess & { readonly service: Service }
}

export interface NatsSeeds { readonly seeds: Readonly<Record<NatsUser | 'system', string>>, readonly keys: NatsKeys }

export const seedFileOf = (name: NatsUser | 'system'): string => `nats_${name.replace('-', '_')}.nk`

/** New seeds, or those that stand in `directory` already. */
export function natsSeeds (directory?: string): NatsSeeds {
  const names = [...NATS_USERS, 'system'] as const
  const seedOf = (name: typeof names[number]): string => {
    const path = directory && join(directory, seedFileOf(name))
    if (path && existsSync(path)) return readFileSync(path, 'utf8')
    const seed = new TextDecoder().decode(nkeys.createUser().getSeed())
    if (path) writeFileSync(path, seed, { mode: 0o600 })
    return seed
  }
  if (directory) mkdirSync(directory, { recursive: true, mode: 0o700 })
  const seeds = Object.fromEntries(names.map((name) => [name, seedOf(name)])) as NatsSeeds['seeds']
  const keys = Object.fromEntries(names.map((name) => [name, [nkeys.fromSeed(new TextEncoder().encode(seeds[name])).getPublicKey()]])) as unknown as NatsKeys
  return { seeds, keys }
}

export const serverConfig = (keys: NatsKeys): string =>
  // As text in one piece: the server is started on a copy, beside which nothing else lies.
  `max_payload: 1MB\njetstream { max_memory_store: 256MB, max_file_store: 16GB, sync_interval: always }\n${usersText(keys)}` +
  'accounts {\n  KLAIM { jetstream: enabled, users: $KLAIM_USERS }\n  SYSTEM { users: $SYSTEM_USERS }\n}\nsystem_account: SYSTEM\n'

/** `bare`: without the streams. */
export async function startKlaimNats ({ seeds: given = natsSeeds(), bare = false, ...options }: Omit<NatsOptions, 'configFile'> & { seeds?: NatsSeeds, bare?: boolean } = {}): Promise<KlaimNats> {
  const configFile = join(mkdtempSync(join(tmpdir(), 'klaim-nats-conf-')), 'nats.conf')
  writeFileSync(configFile, serverConfig(given.keys))
  const nats = await startNats({ ...options, configFile })
  const access = (user: NatsUser): NatsAccess => ({ servers: nats.url, seed: given.seeds[user] })
  const restoreTopology = async (): Promise<void> => {
    const operator = await connectNats(access('operator'), 'operator')
    await ensureTopology(operator)
    await operator.close()
  }
  if (!bare) await restoreTopology()
  return {
    ...nats, access, restoreTopology,
    env: (user) => ({ NATS_URL: nats.url, NATS_NKEY_SEED: given.seeds[user] }),
    playing: (service) => ({ ...access('operator'), service }),
  }
}
