// One stream to a file and back, by the server's own snapshots: sequences, gaps, times, headers and consumers stay as they were, which
// publishing the messages again could not give. The client has no call for it (3.4.0); the protocol is that of the nats command.
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { StreamConfig, StreamState } from '@nats-io/jetstream'
import { createInbox, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { inboxPrefixOf } from '../../contracts/access.ts'
import { permanent, transient } from '../../services/common/fault.ts'

/** What the server says of a stream that it copies, and wants to hear when it is to have it back. */
export interface Described { readonly config: StreamConfig, readonly state: StreamState }

const CHUNK_BYTES = 128 * 1024
const ANSWER_MS_MAX = 30_000
const CHUNK_MS_MAX = 30_000
/** A limit for a server that never ends. */
const SNAPSHOT_BYTES_MAX = 8 * 1024 ** 3

interface Answer extends Partial<Described> { readonly deliver_subject?: string, readonly error?: { readonly err_code: number, readonly description: string } }

async function ask (connection: NatsConnection, subject: string, question: unknown): Promise<Answer> {
  const answer = (await connection.request(subject, JSON.stringify(question), { timeout: ANSWER_MS_MAX })).json<Answer>()
  if (answer.error) throw permanent('SNAPSHOT_REFUSED', `${subject}: ${answer.error.description} (${answer.error.err_code})`)
  return answer
}

/** Writes a snapshot of a stream and its consumers to a file that is not there yet. Faults SNAPSHOT_REFUSED, SNAPSHOT_BROKEN. */
export async function takeSnapshot (connection: NatsConnection, stream: string, path: string): Promise<Described> {
  const inbox = createInbox(inboxPrefixOf('operator'))
  const chunks = connection.subscribe(inbox)
  const file = await open(path, 'wx', 0o600)
  try {
    const { config, state } = await ask(connection, `$JS.API.STREAM.SNAPSHOT.${stream}`, { deliver_subject: inbox, no_consumers: false, jsck: true, chunk_size: CHUNK_BYTES })
    if (!config || !state) throw permanent('SNAPSHOT_BROKEN', `the server did not describe ${stream}`)
    let bytes = 0
    for (const messages = chunks[Symbol.asyncIterator](); ;) {
      const chunk = await inTime(messages.next(), stream)
      if (chunk.data.length === 0) {
        if (chunk.headers?.hasError) throw transient('SNAPSHOT_BROKEN', `the snapshot of ${stream} broke off: ${chunk.headers.description}`)
        break
      }
      bytes += chunk.data.length
      if (bytes > SNAPSHOT_BYTES_MAX) throw permanent('SNAPSHOT_BROKEN', `the snapshot of ${stream} is too large`)
      await file.writeFile(chunk.data)
      // The server sends on when it hears that this one has arrived.
      chunk.respond()
    }
    await file.sync()
    return { config, state }
  } finally {
    chunks.unsubscribe()
    await file.close()
  }
}

/** A server that went away says nothing. */
async function inTime (next: Promise<IteratorResult<Msg>>, stream: string): Promise<Msg> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => { timer = setTimeout(reject, CHUNK_MS_MAX, transient('SNAPSHOT_BROKEN', `the snapshot of ${stream} does not come on`)) })
  try {
    const { value, done } = await Promise.race([next, late])
    if (done) throw transient('SNAPSHOT_BROKEN', `the connection ended during the snapshot of ${stream}`)
    return value
  } finally {
    clearTimeout(timer)
  }
}

/** Makes a stream that is not there from a snapshot. Faults SNAPSHOT_REFUSED, SNAPSHOT_BROKEN. */
export async function restoreSnapshot (connection: NatsConnection, { config, state }: Described, path: string, replicas: number): Promise<void> {
  const { name } = config
  const { deliver_subject: door } = await ask(connection, `$JS.API.STREAM.RESTORE.${name}`, { config: { ...config, num_replicas: replicas }, state })
  if (door === undefined) throw permanent('SNAPSHOT_BROKEN', `the server did not say where ${name} is to be sent`)
  const send = async (chunk: Buffer | string): Promise<void> => {
    const answer = await connection.request(door, chunk, { timeout: ANSWER_MS_MAX })
    const { error } = answer.data.length === 0 ? {} as Answer : answer.json<Answer>()
    if (error) throw permanent('SNAPSHOT_BROKEN', `${name} could not be restored: ${error.description} (${error.err_code})`)
  }
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) await send(chunk as Buffer)
  await send('')
}
