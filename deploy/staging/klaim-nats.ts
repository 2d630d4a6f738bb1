// A nats-server as in production: the users and rights of deploy/nats, and the streams of the catalogue. For tests, the demo and staging.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServiceName } from '../../contracts/define.ts'
import { connectNats, type NatsAccess } from '../../services/common/connect.ts'
import { ensureTopology } from '../../services/common/topology.ts'
import { usersText, type NatsKeys, type NatsUser } from '../nats/config.ts'
import type { Directory } from '../secrets/directory.ts'
import { natsKeys } from '../secrets/nats-keys.ts'
import { NATS_KEY_OWNERS, newSeed, publicKeyOf, seedFileOf } from '../secrets/nats-seed.ts'
import { startNats, type Nats, type NatsOptions } from './nats/nats-server.ts'

export interface KlaimNats extends Nats {
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
    reload: async (keys) => {
      writeFileSync(nats.configFile, serverConfig(keys))
      await nats.kill('SIGHUP')
    },
    env: (user) => ({ NATS_URL: nats.url, NATS_NKEY_SEED: given.seeds[user] }),
    playing: (service) => ({ ...access('operator'), service }),
  }
}
