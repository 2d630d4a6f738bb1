// Keeps what passes by while the story goes on: every HTTP answer, and every message on NATS.
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node'
import type { Piece } from './search.ts'

export interface Answer { readonly status: number, readonly text: string, readonly json: unknown }

export interface Visitor {
  /** Whatever is answered is kept, status, headers and body, under `place`. */
  ask (place: string, url: string, init?: RequestInit): Promise<Answer>
  /** Bytes as they are, for what no HTTP client would send. */
  send (place: string, url: string, text: string): Promise<void>
  answers (): readonly Piece[]
}

const WAIT_MS_MAX = 15_000

export function createVisitor (): Visitor {
  const answers: Piece[] = []
  const keep = (place: string, part: string, text: string): void => { answers.push({ place, part, bytes: Buffer.from(text) }) }
  return {
    ask: async (place, url, init = {}) => {
      const answer = await fetch(url, { redirect: 'manual', ...init, signal: AbortSignal.timeout(WAIT_MS_MAX) })
      const text = await answer.text()
      // What was asked for is not shown here: it may hold what is looked for.
      keep(place, `${init.method ?? 'GET'} → ${answer.status}`, `${answer.status} ${answer.statusText}\n${JSON.stringify([...answer.headers])}\n${text}`)
      return { status: answer.status, text, json: answer.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(text) as unknown : undefined }
    },
    send: async (place, url, text) => {
      const { hostname, port } = new URL(url)
      const socket = connectSocket(Number(port), hostname)
      const chunks: Buffer[] = []
      socket.setTimeout(WAIT_MS_MAX, () => socket.destroy()).on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {})
      socket.write(text)
      await once(socket, 'close')
      keep(place, 'bytes sent by hand', Buffer.concat(chunks).toString('latin1'))
    },
    answers: () => answers,
  }
}

export interface Message { readonly subject: string, /** Where an answer is to go, with the headers. */ readonly about: string, readonly data: Uint8Array }

/** Every message that anybody publishes, with the operator's rights: stored or not, questions and answers included. */
export function listen (connection: NatsConnection): { messages: () => readonly Message[] } {
  const messages: Message[] = []
  connection.subscribe('>', {
    callback: (error, { subject, reply = '', headers, data }) => {
      // Copied: the client gives views of what came off the socket.
      if (!error) messages.push({ subject, about: `${reply}\n${textOf(headers)}`, data: Buffer.from(data) })
    },
  })
  return { messages: () => messages }
}

export const textOf = (headers: MsgHdrs | undefined): string => [...headers ?? []].map(([name, values]) => `${name}: ${values.join(', ')}`).join('\n')
