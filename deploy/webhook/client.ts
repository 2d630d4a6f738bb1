// How an outside bot tells Klaim who came and who went: a client of POST /api/whatsapp-webhook to copy, which needs Node and nothing else.
//
//   const tell = createTeller({ url: 'https://klaim.example/api/whatsapp-webhook', secret })
//   const notice = noticeOf({ event: 'leave', wa_jid: '…@s.whatsapp.net', group_id: '…@g.us', occurred_at: new Date().toISOString() })
//   const { outcome } = await tell(notice)      // 'stored', 'refused' or 'given_up'
//
// What makes it safe to repeat: a notice keeps its nonce and its bytes over every try, and only the time and the signature are new. So a
// notice that was stored without the answer coming through is told NONCE_USED the next time, and nothing is stored twice. Tell what happened
// in its order, one after the other: a leave that comes after the return from it warns the member for nothing.
import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

export interface Movement {
  readonly event: 'join' | 'leave'
  /** `<digits>@s.whatsapp.net`; an `@lid` is not taken. */
  readonly wa_jid: string
  readonly group_id: string
  /** RFC 3339 in UTC: when it happened, not when it is told. */
  readonly occurred_at: string
}
export type Notice = Movement & { readonly nonce: string }

export interface Told {
  /**
   * `given_up`: it may be stored or not. Tell the same notice again within the hour, before anything newer; later let it go, because Klaim
   * looks at the group itself and finds who came and went.
   */
  readonly outcome: 'stored' | 'refused' | 'given_up'
  /** What the gateway said last; absent where it was content, where no answer came, or where the answer was none of Klaim's. */
  readonly code?: string
  readonly tries: number
}

export interface TellerOptions {
  /** Over https where the network is not your own: the body is somebody's phone number. */
  readonly url: string
  readonly secret: string
  readonly triesMax?: number
  readonly timeoutMs?: number
  readonly wait?: (ms: number) => Promise<unknown>
}

interface Answer { readonly status: number, readonly code: string | undefined, readonly retryAfterMs: number }

const WAIT_MS_FIRST = 1_000
/** A wait that is asked for is kept, but for no longer than this: the caller has more to tell. */
const WAIT_MS_MAX = 120_000
const ANSWER_BYTES_MAX = 64 * 1024

/** A new notice. Tell it as often as you like; make another one only for something else that happened. A nonce that is there already stays. */
export const noticeOf = (movement: Movement & { readonly nonce?: string }): Notice => ({ nonce: randomUUID(), ...movement })

export function headersOf (secret: string, body: string, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / 1_000))
  return { 'content-type': 'application/json', 'x-timestamp': timestamp, 'x-signature': createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex') }
}

/** A used nonce is ours, since no other notice has it: an earlier try was stored. A timestamp may have grown old on the way, so a new one is tried. */
export function meaningOf (answer: Answer | undefined): 'stored' | 'refused' | 'again' {
  if (answer === undefined || answer.status === 429 || answer.status >= 500) return 'again'
  if (answer.status === 202 || answer.code === 'NONCE_USED') return 'stored'
  return answer.code === 'STALE_TIMESTAMP' ? 'again' : 'refused'
}

/** At least as long as we are asked to; without being asked, twice as long each time, and never all bots at once. */
export function waitMsOf (answer: Answer | undefined, tries: number, random: number): number {
  const backoffMs = WAIT_MS_FIRST * 2 ** (tries - 1) * (0.5 + random / 2)
  return Math.min(WAIT_MS_MAX, Math.max(backoffMs, answer?.retryAfterMs ?? 0))
}

export function createTeller ({ url, secret, triesMax = 6, timeoutMs = 10_000, wait = delay }: TellerOptions): (notice: Notice) => Promise<Told> {
  return async (notice) => {
    const body = JSON.stringify(notice)
    for (let tries = 1; ; tries++) {
      const answer = await post({ url, body, secret, timeoutMs })
      const meaning = meaningOf(answer)
      const told = { ...(answer?.code === undefined ? {} : { code: answer.code }), tries }
      if (meaning !== 'again') return { outcome: meaning, ...told }
      if (tries >= triesMax) return { outcome: 'given_up', ...told }
      await wait(waitMsOf(answer, tries, Math.random()))
    }
  }
}

/** Undefined: no answer came through whole and in time. */
async function post ({ url, body, secret, timeoutMs }: { url: string, body: string, secret: string, timeoutMs: number }): Promise<Answer | undefined> {
  try {
    // A redirect would carry the number, and what was signed for here, to wherever it points.
    const response = await fetch(url, { method: 'POST', body, headers: headersOf(secret, body, Date.now()), redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })
    return { status: response.status, code: codeOf(await textOf(response)), retryAfterMs: retryAfterMsOf(response.headers.get('retry-after'), Date.now()) }
  } catch {
    return undefined
  }
}

async function textOf (response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Absent where the answer is none of Klaim's: a proxy's page, say. */
function codeOf (text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown } }
    return typeof error?.code === 'string' ? error.code : undefined
  } catch {
    return undefined
  }
}

/** Seconds, or the date that a proxy may write; 0 where neither stands there. */
export function retryAfterMsOf (header: string | null, now: number): number {
  if (header === null) return 0
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now
  return Number.isFinite(ms) ? Math.max(0, ms) : 0
}
