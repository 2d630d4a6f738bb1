// The servers of NATS themselves: version, durability, room. As the system user, so that every node of a cluster is seen.
import { isNewEnough, NATS_VERSION_MIN } from '../../services/common/topology.ts'
import { STREAMS } from '../../contracts/streams.ts'
import { defineCheck, Unseen, verdictOf, type Finding } from './check.ts'
import { replicasOf } from './topology.ts'
import { ANSWERS, type World } from './world.ts'

export interface Node {
  readonly name: string
  readonly version: string
  /** Undefined: it keeps no streams. */
  readonly jetstream: { readonly isSynced: boolean, readonly usedBytes: number, readonly reservedBytes: number, readonly limitBytes: number } | undefined
}
export interface Fill { readonly stream: string, readonly bytes: number, readonly limitBytes: number }

const NODES_MAX = 100
/** Of what a stream, a bucket or a server may hold: there is time left to do something. */
const FILL_MAX = 0.8
const FILL_PERCENT = FILL_MAX * 100

export const natsServers = defineCheck('nats-servers', ['SECRETS_DIRECTORY'], async (world) => judgeServers(await nodes(world), await replicasOf(await world.jsm())))

/** `wanted`: on so many nodes the ledger is kept. */
export function judgeServers (found: readonly Node[], wanted: number): Finding {
  const wrong = found.flatMap(({ name, version, jetstream }) => [
    ...(isNewEnough(version) ? [] : [`${name} is ${version}, and ${NATS_VERSION_MIN} is needed`]),
    ...(jetstream === undefined ? [`${name} has no JetStream`] : jetstream.isSynced ? [] : [`${name} acknowledges what is not on the disk yet: sync_interval is not always`]),
  ])
  const versions = [...new Set(found.map(({ version }) => version))].toSorted()
  if (found.length < wanted) wrong.unshift(`${found.length} of ${wanted} nodes answer`)
  return verdictOf(wrong, `${found.length === 1 ? 'one server' : `${found.length} nodes`} of ${versions.join(', ')}, what is acknowledged is on the disk`, 'deploy/nats/nats.conf; RUNBOOK.md, "A node of NATS is lost"', versions.length > 1 ? ['the nodes are of different versions'] : [])
}

export const natsStorage = defineCheck('nats-storage', ['SECRETS_DIRECTORY'], async (world) => judgeStorage(await nodes(world), await fills(world)))

export function judgeStorage (found: readonly Node[], streams: readonly Fill[]): Finding {
  const servers = found.flatMap(({ name, jetstream }) => jetstream === undefined ? [] : [{ name, ...jetstream }])
  const wrong = [
    ...servers.filter(({ usedBytes, limitBytes }) => usedBytes > limitBytes * FILL_MAX).map(({ name, usedBytes, limitBytes }) => `${name} holds ${mib(usedBytes)} of ${mib(limitBytes)}`),
    // What no room is kept for may find none.
    ...servers.filter(({ reservedBytes, limitBytes }) => reservedBytes > limitBytes).map(({ name, reservedBytes, limitBytes }) => `${name} has promised ${mib(reservedBytes)} and may hold ${mib(limitBytes)}`),
    ...streams.filter(({ bytes, limitBytes }) => limitBytes > 0 && bytes > limitBytes * FILL_MAX).map(({ stream, bytes, limitBytes }) => `${stream} holds ${mib(bytes)} of ${mib(limitBytes)}`),
  ]
  const used = servers.map(({ usedBytes, limitBytes }) => `${mib(usedBytes)} of ${mib(limitBytes)}`).join(', ')
  return verdictOf(wrong, `${used} are used, and no stream is above ${FILL_PERCENT} %`, 'make room before the oldest is thrown away: max_file_store of NATS, maxBytes of the stream (contracts/streams.ts)')
}

const mib = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MiB`

interface Said { readonly server: { readonly name: string, readonly ver: string }, readonly data?: { readonly storage: number, readonly reserved_storage: number, readonly config?: { readonly max_storage: number, readonly sync_always?: boolean } } }

async function nodes (world: World): Promise<Node[]> {
  const system = await world.system()
  const answers: Said[] = []
  for await (const answer of await system.requestMany('$SYS.REQ.SERVER.PING.JSZ', JSON.stringify({ config: true }), { ...ANSWERS, maxMessages: NODES_MAX })) answers.push(answer.json<Said>())
  if (answers.length === 0) throw new Unseen('no server of NATS tells about itself', 'is nats_system.nk the key of the system account')
  return answers.map(({ server: { name, ver }, data }) => ({
    name: answers.length === 1 ? 'nats-server' : name, version: ver,
    jetstream: data?.config === undefined ? undefined : { isSynced: data.config.sync_always === true, usedBytes: data.storage, reservedBytes: data.reserved_storage, limitBytes: data.config.max_storage },
  })).toSorted((a, b) => a.name < b.name ? -1 : 1)
}

async function fills (world: World): Promise<Fill[]> {
  const found: Fill[] = []
  // Counters are a ring on purpose.
  const rings = STREAMS.filter(({ counters }) => counters).map(({ name }) => name)
  for await (const { config: { name, max_bytes: limitBytes }, state: { bytes } } of (await world.jsm()).streams.list()) if (!rings.includes(name)) found.push({ stream: name, bytes, limitBytes })
  return found
}
