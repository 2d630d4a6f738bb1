// Says what the notifier wrote: each message once, though it may come twice to us and we may die on any line.
import { Value } from 'typebox/value'
import { messageDelivered, messageUndeliverable, type messageOutbound } from '../../contracts/events/messages.ts'
import type { Bus } from '../common/bus.ts'
import type { Bucket } from '../common/bucket.ts'
import type { EventData } from '../common/consume.ts'
import { codeOf, Fault, permanent, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import type { Numbers } from './numbers.ts'
import { accepted, concluded, meaningOf, newerLoginKey, newRecord, nextStep, SentRecord, type Outcome } from './outbox.ts'
import type { Person } from './roster.ts'
import type { Sender } from './sender.ts'
import type { Link } from './whatsapp.ts'

export type Outbound = EventData<typeof messageOutbound>

export interface DeliveryOptions {
  readonly bus: Pick<Bus, 'publish' | 'clock'>
  readonly sent: Bucket
  readonly link: () => Link | null
  readonly sender: Sender
  readonly numbers: Numbers
  readonly open: (sealed: string) => Promise<string>
  /** Asks WhatsApp whether the account is locked, and remembers the answer. */
  readonly askReachoutLock: () => Promise<void>
  /** Told what became of a message, once: by whoever wrote it down, so not again where it is delivered again. */
  readonly onConcluded: (message: Outbound, outcome: Outcome) => void
  readonly log: Log
}

const PASSWORD = '{password}'

const aboutOf = ({ message_id, claim_id, member_id, kind }: Outbound) => ({ message_id, claim_id, member_id, kind })

/** Resolves when the outcome is stored and announced. Transient Faults: to be called again with the same message. */
export function createDelivery ({ bus, sent, link, sender, numbers, open, askReachoutLock, onConcluded, log }: DeliveryOptions): (message: Outbound, causation: string, since?: Date) => Promise<void> {
  return async (message, causation, since) => {
    const { message_id, claim_id, parts } = message
    const key = `out.${message_id}`
    const expiresAt = message.expires_at === undefined ? null : Date.parse(message.expires_at)
    let { record, revision } = await recordOf(key, parts.length)

    async function store (next: SentRecord): Promise<void> {
      const written = await sent.update(key, JSON.stringify(next), revision)
      if (written === null) throw transient('MESSAGE_CONFLICT', 'somebody else is sending this message')
      record = next
      revision = written
      if (next.outcome !== null) onConcluded(message, next.outcome)
    }

    while (true) {
      const step = nextStep(record, bus.clock.now().getTime(), expiresAt)
      if (step.kind === 'announce') {
        const about = aboutOf(message)
        const said = { key: message_id, correlation: claim_id, causation, ...(since && { since }) }
        if (step.outcome === 'delivered') await bus.publish(messageDelivered, { ...said, data: about })
        else await bus.publish(messageUndeliverable, { ...said, data: { ...about, code: step.outcome } })
        return
      }
      if (step.kind === 'conclude') {
        await store(concluded(record, step.outcome))
        continue
      }
      const outcome = await say(message, parts[step.part] as string, step.id)
      await store(outcome === 'accepted' ? accepted(record, step.part) : concluded(record, outcome))
    }
  }

  async function recordOf (key: string, count: number): Promise<{ record: SentRecord, revision: number }> {
    const entry = await sent.get(key)
    if (entry) {
      const record: unknown = JSON.parse(entry.text())
      if (!Value.Check(SentRecord, record) || record.parts.length !== count) throw permanent('SENT_RECORD_INVALID', 'what was stored about a message does not fit it')
      return { record, revision: entry.revision }
    }
    const current = link()
    if (!current) throw transient('WHATSAPP_CLOSED', 'not connected to WhatsApp')
    const record = newRecord(Array.from({ length: count }, () => current.messageId()))
    const revision = await sent.create(key, JSON.stringify(record))
    return revision === null ? await recordOf(key, count) : { record, revision }
  }

  async function say (message: Outbound, part: string, id: string): Promise<'accepted' | Exclude<Outcome, 'delivered'>> {
    const phone = message.wa_jid.slice(0, message.wa_jid.indexOf('@'))
    const to: Person | null = await numbers.addressee(phone)
    // Writing to numbers that are not on WhatsApp is reported to get all linked devices restricted.
    if (!to) return 'WHATSAPP_NOT_REGISTERED'
    let text = part
    if (part.includes(PASSWORD)) {
      try {
        const password = await open(message.sealed_password ?? '')
        text = part.replaceAll(PASSWORD, () => password)
      } catch (error) {
        if (!(error instanceof Fault && error.code === 'SEAL_UNREADABLE')) throw error
        log.error({ ...aboutOf(message), code: error.code }, 'a login cannot be opened with any key of ours')
        return 'SEAL_UNREADABLE'
      }
    }
    // The last thing that is asked: a newer login is sent after it is noted, so that whichever goes first, the newest password is the last in the chat.
    if (message.kind === 'login' && await sent.get(newerLoginKey(message.claim_id))) return 'LOGIN_REPLACED'
    const result = await sender.send(to, text, id)
    if (result.kind === 'accepted') return 'accepted'
    const meaning = meaningOf(result.error)
    if (meaning === 'again') throw transient('WHATSAPP_SEND_REFUSED', `WhatsApp refused a message for now (${result.error})`)
    log.info({ ...aboutOf(message), code: meaning, error: result.error }, 'WhatsApp refused a message')
    if (meaning === 'WHATSAPP_REACHOUT_LOCKED') await askReachoutLock().catch((error: unknown) => { log.warn({ code: codeOf(error) }, 'WhatsApp did not say how long it locks us') })
    return meaning
  }
}
