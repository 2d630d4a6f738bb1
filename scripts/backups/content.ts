// What is in a stream, as one number: every message with sequence, time, subject, headers and body, in their order.
import { createHash } from 'node:crypto'
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream'
import { messagesOf } from '../rekey/ledger.ts'

export interface Content { readonly messages: number, readonly sha256: string }

/** Headers that the server adds to an answer; they are of no message. */
const OF_THE_ANSWER = new Set(['nats-stream', 'nats-subject', 'nats-sequence', 'nats-time-stamp', 'nats-num-pending', 'nats-last-sequence', 'nats-upto-sequence'])

/** Of everything up to a sequence. */
export async function contentOf (jsm: JetStreamManager, stream: string, lastSequence: number): Promise<Content> {
  const hash = createHash('sha256')
  let messages = 0
  for await (const message of messagesOf({ jsm }, stream)) {
    if (message.seq > lastSequence) break
    messages++
    // The lengths keep what stands on one side of a border from being taken for what stands on the other.
    const head = JSON.stringify([message.seq, message.timestamp, message.subject, headersOf(message), message.data.length])
    hash.update(`${head.length}:${head}`).update(message.data)
  }
  return { messages, sha256: hash.digest('hex') }
}

function headersOf ({ header }: StoredMsg): Array<readonly [string, string[]]> {
  // A message without any comes from the leader without the property (client 3.4.0).
  return ((header as StoredMsg['header'] | undefined)?.keys() ?? []).filter((name) => !OF_THE_ANSWER.has(name.toLowerCase())).map((name) => [name, header.values(name)] as const)
}
