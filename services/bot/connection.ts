// Keeps one connection to WhatsApp up for as long as the lease is held.
//
//   connecting ──open──▶ open ──closed──▶ waiting ──delay──▶ connecting
//       │  ▲                                 │
//       │  └── linking (QR or code) ◀────────┘ 401: the session is cleared and linked anew
//       └──────── 402, 403, 405, 406, 409, 411, 418, 440 ──▶ stopped: a person has to look
import { setTimeout as delay } from 'node:timers/promises'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import type { BotMetrics, ConnectionState } from './metrics.ts'
import type { Pairing } from './pairing.ts'
import { afterClose, type Backoff } from './reconnect.ts'
import type { Session } from './session-store.ts'
import type { Incoming } from './incoming.ts'
import { openSocket, type Link, type ReachoutLock, type SocketOptions } from './whatsapp.ts'
import type { Person } from './roster.ts'

export interface ConnectionHooks {
  onState (state: ConnectionState): void
  /** Awaited before the next connection is tried. */
  onUp (link: Link, end: () => void): void
  onDown (): Promise<void>
  onIncoming (message: Incoming): void
  onGroupSign (): void
  onPair (pair: Required<Person>): void
  onReachoutLock (lock: ReachoutLock): void
}

export interface ConnectionOptions {
  readonly openSession: () => Promise<Session>
  readonly socket: SocketOptions
  readonly pairing: Pairing
  readonly backoff: Backoff
  /** A connection that lasted this long was a success. */
  readonly steadyMs: number
  readonly hooks: ConnectionHooks
  readonly log: Log
  readonly metrics: BotMetrics
}

/** Resolves after `signal` has fired and everything is written, or earlier with the code for which a person has to look. */
export async function keepConnected (options: ConnectionOptions, signal: AbortSignal): Promise<string | null> {
  const { openSession, pairing, backoff, steadyMs, hooks, log, metrics } = options
  let session = await openSession()
  let failures = 0
  while (!signal.aborted) {
    if (!session.isLinked() && session.auth.creds.me) session = await forgotten(session, 'linking by code was not finished')
    const { code, openForMs } = await connectOnce(session, options, signal)
    await session.settled()
    if (signal.aborted) break
    metrics.closes.inc({ code: String(code ?? 'none') })
    // Waiting for a person to scan is no failure.
    failures = openForMs >= steadyMs || !session.isLinked() ? 1 : failures + 1
    const after = afterClose(code, failures, backoff, Math.random())
    if (after.kind === 'stop') {
      log.error({ code: after.code, close_code: code }, 'WhatsApp has ended the connection for a reason that a person has to look at')
      hooks.onState('stopped')
      return after.code
    }
    if (after.kind === 'relink') session = await forgotten(session, 'WhatsApp has unlinked this device')
    const delayMs = after.kind === 'reconnect' ? after.delayMs : backoff.delayMsFirst
    log.warn({ close_code: code, failures, delay_ms: delayMs, duration_ms: Math.round(openForMs) }, 'the connection to WhatsApp has ended and is made anew')
    hooks.onState('waiting')
    await delay(delayMs, undefined, { signal }).catch(() => {})
  }
  return null

  async function forgotten (session: Session, why: string): Promise<Session> {
    log.error({ why }, 'the bot has to be linked again')
    await session.clear()
    pairing.waiting()
    return await openSession()
  }
}

interface Closed { readonly code: number | undefined, readonly openForMs: number }

async function connectOnce (session: Session, { socket, pairing, hooks, log }: ConnectionOptions, signal: AbortSignal): Promise<Closed> {
  hooks.onState('connecting')
  let openedAt: number | undefined
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  const linking = (): void => { hooks.onState('linking') }
  const end = openSocket(session, {
    onOpen: (link) => {
      openedAt = performance.now()
      pairing.done()
      hooks.onState('open')
      log.info('connected to WhatsApp')
      hooks.onUp(link, end)
    },
    onClosed: resolve,
    onQr: (qr) => { linking(); pairing.showQr(qr) },
    onQrRefreshed: (qr) => { linking(); pairing.showQr(qr, 'WhatsApp asks for a second scan: scan this new code too.') },
    onPairingCode: (code) => { linking(); pairing.showCode(code) },
    onPasskeyDemanded: () => { pairing.demandPasskey() },
    onLinked: () => { pairing.done(); log.info('the bot is linked') },
    onIncoming: (message) => { hooks.onIncoming(message) },
    onGroupSign: () => { hooks.onGroupSign() },
    onPair: (pair) => { hooks.onPair(pair) },
    onReachoutLock: (lock) => { hooks.onReachoutLock(lock) },
    onCredsUnsaved: (error) => { log.error({ code: codeOf(error), err: error }, 'credentials were not stored') },
  }, socket)
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const code = await promise
  signal.removeEventListener('abort', end)
  const openForMs = openedAt === undefined ? 0 : performance.now() - openedAt
  if (openedAt !== undefined) await hooks.onDown()
  return { code, openForMs }
}
