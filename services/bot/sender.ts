// The one mouth of the bot: whatever it says goes through here, one message at a time and not faster than a person types, because fast
// and regular sending is what WhatsApp takes for spam. A second message into the same chat follows sooner, as people do, too: so fifty
// logins, of two messages each, take two minutes instead of more than three.
import { setTimeout as delay } from 'node:timers/promises'
import { Fault, transient } from '../common/fault.ts'
import { failed, inChildSpan, SpanKind } from '../common/tracing.ts'
import type { BotMetrics } from './metrics.ts'
import type { Person } from './roster.ts'
import type { Link, SendResult } from './whatsapp.ts'

export interface Sender {
  /** Resolves with WhatsApp's verdict. Transient Faults where there is none; the same `id` may then be sent again. */
  send (to: Person, text: string, id: string): Promise<SendResult>
}

export interface SenderOptions {
  readonly link: () => Link | null
  readonly isHeld: () => boolean
  /** Least time between messages into two chats; a quarter of it between two into the same one. Up to half as much again is added at random. */
  readonly gapMs: number
  readonly metrics: BotMetrics
  /** Told each verdict of WhatsApp. */
  readonly onResult: (result: SendResult) => void
}

const WAITING_MAX = 200
const SAME_CHAT_SHARE = 0.25

export function createSender ({ link, isHeld, gapMs, metrics, onResult }: SenderOptions): Sender {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let sentAt = -Infinity
  let sentTo: string | undefined

  async function send (to: Person, text: string, id: string): Promise<SendResult> {
    const chat = to.phone ?? to.lid
    const gap = gapMs * (1 + Math.random() / 2) * (chat === sentTo ? SAME_CHAT_SHARE : 1)
    const waitMs = sentAt + gap - performance.now()
    if (waitMs > 0) await delay(waitMs)
    const open = link()
    if (!open || !isHeld()) throw transient('WHATSAPP_CLOSED', 'not connected to WhatsApp')
    try {
      const result = await inChildSpan('send to WhatsApp', { kind: SpanKind.CLIENT }, async (span) => {
        const verdict = await open.send(to, text, id)
        if (span && verdict.kind === 'refused') failed(span, verdict.error)
        return verdict
      })
      metrics.sends.inc({ result: result.kind === 'accepted' ? 'accepted' : `refused_${result.error.slice(0, 8)}` })
      onResult(result)
      return result
    } catch (error) {
      metrics.sends.inc({ result: error instanceof Fault ? error.code : 'bug' })
      throw error
    } finally {
      sentAt = performance.now()
      sentTo = chat
    }
  }

  return {
    send: async (to, text, id) => {
      if (waiting >= WAITING_MAX) throw transient('WHATSAPP_BUSY', 'too many messages are waiting to be sent')
      waiting++
      const turn = last.then(async () => await send(to, text, id))
      last = turn.catch(() => {})
      return await turn.finally(() => { waiting-- })
    },
  }
}
