// What is left to see after many people came at once: the login in each chat, the streams, the panel's own count of calls.
import { connectNats } from '../common/connect.ts'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { CONSUMERS } from '../../contracts/streams.ts'
import type { System } from '../../deploy/staging/system.ts'
import { PASSWORD, until, type Message, type PanelState, type Patience } from './journey.ts'

/** A machine may be busy with the very thing that is looked at. */
const ANSWER_MS_MAX = 30_000
/** Calls that are made once for everybody: the installs are asked about in one list, the nodes are read for all claims. */
const SHARED = ['GET /servers', 'GET /nodes/{node}']

export const numberOf = (member: number): string => `62812${String(member).padStart(8, '0')}`
export const waJidOf = (member: number): string => `${numberOf(member)}@s.whatsapp.net`

export interface Login { readonly username: string, readonly password: string, /** Epoch milliseconds. */ readonly at: number }

/** The logins in a chat, oldest first. The password stands alone in a message, after the one that names the user. */
export function loginsIn (chat: readonly Message[]): Login[] {
  const texts = chat.filter(({ from }) => from === 'bot')
  const names = texts.map(({ text }) => /Nama pengguna: (\S+)/.exec(text)?.[1])
  const isName = (name: string | undefined): boolean => name !== undefined
  // A phone that could not read the first part is sent it again, and shows it after the second.
  return texts.flatMap(({ text, at }, n) => PASSWORD.test(text) ? [{ username: names.slice(0, n).findLast(isName) ?? names.slice(n).find(isName) ?? '', password: text, at }] : [])
}

/** All chats by number, in one question. */
export async function chats (system: System): Promise<Map<string, Message[]>> {
  const answer = await fetch(`${system.whatsappUrl}/chats`, { signal: AbortSignal.timeout(15_000) })
  return new Map((await answer.json() as Array<{ number: string, messages: Message[] }>).map(({ number, messages }) => [number, messages]))
}

/** Resolves when no consumer has anything left to do or in hand: what has not happened by then will not happen. */
export async function settled (system: System, patience: Patience = {}): Promise<void> {
  await withStreams(system, async (jsm) => {
    await until('everything is handled', async () => {
      const states = await Promise.all(CONSUMERS.map(async ({ stream, name }) => await jsm.consumers.info(stream, name)))
      return states.every((state) => state.num_pending === 0 && state.num_ack_pending === 0) ? true : undefined
    }, patience)
  })
}

/** How many messages a stream holds, of all or of some subjects. */
export async function stored (system: System, stream: string, subjects = '>'): Promise<number> {
  return await withStreams(system, async (jsm) => {
    const { state } = await jsm.streams.info(stream, { subjects_filter: subjects })
    return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0)
  })
}

/** Calls to the panel, as it counted them: those that each claim needs for itself, and all. */
export function callsOf (requests: PanelState['requests']): { own: number, all: number, text: string } {
  const routes = Object.entries(requests)
  const sum = (counted: typeof routes): number => counted.reduce((total, [, each]) => total + each.total, 0)
  return { own: sum(routes.filter(([route]) => !SHARED.includes(route))), all: sum(routes), text: routes.map(([route, { total }]) => `${route} ${total}`).join(', ') }
}

/** Nearest rank; `share` from 0 to 1. */
export const quantile = (values: readonly number[], share: number): number => values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)] ?? NaN

export async function withStreams<Result> (system: System, ask: (jsm: JetStreamManager) => Promise<Result>): Promise<Result> {
  const connection = await connectNats(system.nats.access('operator'), 'operator')
  try {
    return await ask(await jetstreamManager(connection, { timeout: ANSWER_MS_MAX }))
  } finally {
    await connection.close()
  }
}
