// People who claim and an outside bot that tells of movements, without pause, while something else is done to the system. Each answer is looked at.
import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { System } from '../../deploy/staging/system.ts'

const CLAIM_EVERY_MS = 2_000
const NOTICE_EVERY_MS = 250
const AGAIN_MS = 250
const GIVES_UP_MS = 60_000

export interface Claimed { readonly number: string, readonly claimId: string }
export interface Seen {
  readonly claims: readonly Claimed[]
  /** Notices that were taken. */
  readonly notices: number
  /** What nobody should ever be told. */
  readonly refusals: readonly string[]
  /** The longest that somebody was told to try again, in milliseconds. */
  readonly longestWaitMs: number
}

export interface Traffic {
  /** The outside bot is given another secret. */
  sign (secret: string): void
  /** Resolves when what is under way has its answer. */
  stop (): Promise<Seen>
}

/**
 * Members `first` to `last` claim, one after another; the outside bot tells of joins of `stranger`, who has no claim. While the bot restarts, and
 * only then, who claims may be told to try again.
 */
export function startTraffic (system: System, options: { webhookSecret: string, numberOf: (member: number) => string, first: number, last: number, stranger: string, isBotAway: () => boolean }): Traffic {
  let { webhookSecret } = options
  let stopping = false
  let [notices, longestWaitMs, door] = [0, 0, 0]
  const claims: Claimed[] = []
  const refusals: string[] = []

  /** As a load balancer does: a door that is closed is passed over. Undefined where all are. */
  async function send (path: string, headers: Record<string, string>, body: string): Promise<{ status: number, code: string, claimId: string } | undefined> {
    const first = door++
    for (let tries = 0; tries < system.gatewayUrls.length; tries++) {
      const url = system.gatewayUrls[(first + tries) % system.gatewayUrls.length] ?? ''
      try {
        const answer = await fetch(`${url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body, signal: AbortSignal.timeout(20_000) })
        const said = await answer.json() as { claim_id?: string, error?: { code: string } }
        return { status: answer.status, code: said.error?.code ?? '', claimId: said.claim_id ?? '' }
      } catch {}
    }
    return undefined
  }

  async function claim (number: string): Promise<void> {
    const body = JSON.stringify({ username: `user${number.slice(-4)}`, wa_number_e164: `+${number}`, template: 'nodejs' })
    const headers = { 'idempotency-key': randomUUID() }
    for (const began = Date.now(); Date.now() - began < GIVES_UP_MS; await delay(AGAIN_MS)) {
      const wasAway = options.isBotAway()
      const answer = await send('/api/claim', headers, body)
      longestWaitMs = Math.max(longestWaitMs, Date.now() - began)
      if (answer?.status === 202) {
        claims.push({ number, claimId: answer.claimId })
        return
      }
      const isExcused = answer?.code === 'BOT_OFFLINE' && (wasAway || options.isBotAway())
      if (!isExcused) {
        refusals.push(`claim: ${answer ? `${answer.status} ${answer.code}` : 'no door was open'} at ${new Date().toISOString()}, after ${Date.now() - began} ms`)
        return
      }
    }
    refusals.push('claim: never accepted')
  }

  async function notice (): Promise<void> {
    const body = JSON.stringify({ event: 'join', wa_jid: `${options.stranger}@s.whatsapp.net`, group_id: system.group, occurred_at: new Date().toISOString(), nonce: randomUUID() })
    const timestamp = String(Math.floor(Date.now() / 1_000))
    const signature = createHmac('sha256', webhookSecret).update(`${timestamp}.${body}`).digest('hex')
    const answer = await send('/api/whatsapp-webhook', { 'x-timestamp': timestamp, 'x-signature': signature }, body)
    if (answer?.status === 202) notices++
    else refusals.push(`notice: ${answer ? `${answer.status} ${answer.code}` : 'no door was open'}`)
  }

  const underWay = new Set<Promise<void>>()
  const begin = (work: Promise<void>): void => {
    const tracked = work.finally(() => underWay.delete(tracked))
    underWay.add(tracked)
  }
  async function every (ms: number, act: (turn: number) => void): Promise<void> {
    for (let turn = 0; !stopping; turn++) {
      act(turn)
      await delay(ms)
    }
  }
  const running = Promise.all([
    every(CLAIM_EVERY_MS, (turn) => { if (options.first + turn <= options.last) begin(claim(options.numberOf(options.first + turn))) }),
    every(NOTICE_EVERY_MS, () => { begin(notice()) }),
  ])

  return {
    sign: (secret) => { webhookSecret = secret },
    stop: async () => {
      stopping = true
      await running
      await Promise.all(underWay)
      return { claims, notices, refusals, longestWaitMs }
    },
  }
}
