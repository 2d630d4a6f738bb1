// Where something could be found: all that the system has written, shows or answers.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { jetstreamManager, type JetStreamManager, type StoredMsg } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { SERVICES, type System } from '../../../deploy/staging/system.ts'
import type { Piece } from './search.ts'
import { textOf, type Message, type Visitor } from './witness.ts'

const BATCH = 256
const NO_SUCH_MESSAGE = 404
const SRV_WAIT_MS = 1_000

/** What runs: command lines and environments, as whoever has the same user sees them. Without the doubles, which are the outside world. */
export function* processesOf (system: System): Generator<Piece> {
  const pids = [...SERVICES.map((name) => [name, system.pid(name)] as const), ['nats-server', system.nats.pid()] as const]
  for (const [name, pid] of pids) {
    if (pid === undefined) throw new Error(`${name} does not run`)
    for (const file of ['cmdline', 'environ']) yield { place: `process ${file}`, part: name, bytes: readFileSync(`/proc/${pid}/${file}`) }
  }
}

/** The doors meant for machines: health and metrics of every service, and all that nats-server tells about itself. */
export async function askMachineDoors (system: System, visitor: Visitor): Promise<void> {
  for (const name of SERVICES) for (const path of ['/healthz', '/readyz', '/metrics', '/elsewhere']) await visitor.ask(`health port ${path}`, `${system.healthUrl(name)}${path}`)
  for (const path of ['/varz', '/connz?subs=detail&auth=1', '/jsz?accounts=1&streams=1&consumers=1&config=1', '/subsz?subs=1', '/accountz', '/accstatz', '/healthz']) {
    await visitor.ask('monitoring of nats-server', `${system.nats.monitoringUrl}${path}`)
  }
}

/** What the services say of themselves on NATS. */
export async function* servicesOf (connection: NatsConnection): AsyncGenerator<Piece> {
  for (const subject of ['$SRV.PING', '$SRV.INFO', '$SRV.STATS']) {
    for await (const { headers, data } of await connection.requestMany(subject, '', { strategy: 'timer', maxWait: SRV_WAIT_MS })) {
      yield { place: subject, part: 'answer', bytes: Buffer.concat([Buffer.from(textOf(headers)), data]) }
    }
  }
}

/** Every stream, buckets included, as NATS shows it. Throws where one is compressed: then its files could not be searched. */
export async function* streamsOf (connection: NatsConnection): AsyncGenerator<Piece> {
  const jsm = await jetstreamManager(connection)
  for await (const { config: { name, compression = 'none' } } of jsm.streams.list()) {
    if (compression !== 'none') throw new Error(`${name} is compressed`)
    const described = [await jsm.streams.info(name, { subjects_filter: '>' }), await jsm.consumers.list(name).next()]
    yield { place: 'descriptions of streams and consumers', part: name, bytes: Buffer.from(JSON.stringify(described)) }
    for await (const { seq, subject, header, data } of messagesOf(jsm, name)) {
      yield { place: `subjects and headers of ${name}`, part: `message ${seq}`, bytes: Buffer.from(`${subject}\n${textOf(header)}`) }
      yield { place: `bodies of ${name}`, part: `message ${seq}`, bytes: data }
    }
  }
}

/** All that a stream holds now. */
export async function* messagesOf (jsm: JetStreamManager, stream: string): AsyncGenerator<StoredMsg> {
  for (let next = 1, got = BATCH; got === BATCH;) {
    got = 0
    try {
      for await (const message of await jsm.direct.getBatch(stream, { seq: next, batch: BATCH })) {
        got++
        next = message.seq + 1
        yield message
      }
    } catch (error) {
      if ((error as { code?: unknown }).code !== NO_SUCH_MESSAGE) throw error
    }
  }
}

export function* wireOf (messages: readonly Message[]): Generator<Piece> {
  for (const { subject, about, data } of messages) {
    yield { place: 'subjects and headers on the wire', part: subject.slice(0, 80), bytes: Buffer.from(`${subject}\n${about}`) }
    yield { place: 'bodies on the wire', part: subject.slice(0, 80), bytes: data }
  }
}

/** Every file below the system's directory and the log of nats-server, each named after whose it is. */
export function* filesOf (directory: string, natsLog: string): Generator<Piece> {
  for (const { parentPath, name } of readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())) {
    const path = join(parentPath, name)
    const part = relative(directory, path)
    yield { place: placeOfFile(part), part, bytes: readFileSync(path) }
    // A name is readable, too.
    yield { place: 'names of files', part, bytes: Buffer.from(part) }
  }
  yield { place: 'log of nats-server', part: natsLog, bytes: readFileSync(natsLog) }
}

function placeOfFile (path: string): string {
  const stream = /^nats\/jetstream\/[^/]+\/streams\/([^/]+)\/msgs\/[^/]+\.blk$/.exec(path)?.[1]
  if (stream !== undefined) return `blocks of ${stream}`
  const log = /^logs\/(.+)\.log$/.exec(path)?.[1]
  if (log !== undefined) return `log of ${log}`
  const [first = ''] = path.split('/')
  return path.includes('/') ? `files below ${first}/` : `file ${path}`
}
