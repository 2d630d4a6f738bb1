/**
 * A message from the bot: accepted or refused by the server, and read (or not) by each device it was encrypted for.
 * The server remembers first and acknowledges then; that an acknowledgement gets lost is one of the faults.
 */
import { encodeBigEndian, type proto } from '@whiskeysockets/baileys'
import { type Connection, deliver, type Double } from '../double.ts'
import { type Knobs, take } from '../knobs.ts'
import { bytes, child, children, seconds, stanza, type Stanza } from '../stanza.ts'
import {
  type Addressing, botOf, type Companion, type Delivery, hasWritten, lidJid, parseJid, personByJid, type Person, record, show
} from '../world.ts'
import { isRestricted } from './account.ts'

const retriesMax = 5

interface Copy { device: number, person: Person, enc: Stanza }

export async function onMessage (double: Double, connection: Connection, companion: Companion, message: Stanza): Promise<void> {
  const { id = '', to = '' } = message.attrs
  const { world, knobs } = double
  const bot = botOf(world)
  const person = personByJid(world, message.attrs.recipient ?? to)
  const addressing: Addressing = parseJid(to).server === 'lid' ? 'lid' : 'pn'
  const common = { messageId: id, at: Date.now(), to: person?.number ?? '', addressing }
  const cut = take(knobs.cut)

  if (cut?.when === 'before-accepting') {
    record(world, { ...common, device: 0, own: false, enc: 'none', text: '', outcome: 'lost' })
    connection.cut()
    return double.changed()
  }
  const answers: (() => void)[] = []
  const error = person?.isOnWhatsApp ? refusal(knobs, { addressing, isCold: !hasWritten(world, person), hasToken: showsToken(message, person) }) : 404
  if (error === undefined) {
    for (const copy of copiesOf(double, message)) answers.push(await receive(double, companion, copy, { ...common, own: copy.person === bot }, person))
  } else {
    record(world, { ...common, device: 0, own: false, enc: 'none', text: '', outcome: 'refused', error: String(error) })
  }
  double.changed()
  const ack = stanza('ack', { class: 'message', id, from: to, t: seconds(), error })
  const done = double.save().then(() => {
    if (cut) connection.cut()
    else if (knobs.acks) double.later(knobs.ackDelayMs, () => { connection.send(ack) })
    for (const answer of answers) answer()
    return undefined
  }).catch(double.failed)
  // The next message need not wait until this one is on disk, but nothing follows a cut.
  if (cut) await done
}

interface Standing { addressing: Addressing, isCold: boolean, hasToken: boolean }

const showsToken = (message: Stanza, { token }: Person): boolean => token !== undefined && bytes(child(message, 'tctoken')).equals(token)

/** Why the server refuses a message, if it does. 463 has three causes on the real server: the account, the contact, the address. */
export function refusal (knobs: Knobs, { addressing, isCold, hasToken }: Standing): number | undefined {
  const refused = take(knobs.refuseSends)
  if (refused) return refused.code
  if (isCold && (knobs.refuseColdSends || isRestricted(knobs.restrictedUntil))) return 463
  if (knobs.requireTokens && !hasToken) return 463
  return knobs.refusePhoneNumberSends && addressing === 'pn' ? 463 : undefined
}

/** Usually one copy per device; a resend after a retry request is for one device and stands in the message itself. */
function copiesOf (double: Double, message: Stanza): Copy[] {
  const direct = child(message, 'enc')
  const addressed = direct
    ? [{ jid: message.attrs.to ?? '', enc: direct }]
    : children(child(message, 'participants'), 'to').map((one) => ({ jid: one.attrs.jid ?? '', enc: child(one, 'enc') }))
  return addressed.flatMap(({ jid, enc }) => {
    const person = personByJid(double.world, jid)
    return person && enc ? [{ person, device: parseJid(jid).device, enc }] : []
  })
}

type Common = Pick<Delivery, 'messageId' | 'at' | 'to' | 'own' | 'addressing'>

/**
 * `chat` is whom the message is for; the bot account's own phone gets a copy too. Gives what the device then tells the sender: a receipt,
 * or that it could not read the message. That comes after the server's acknowledgement.
 */
async function receive (double: Double, companion: Companion, copy: Copy, common: Common, chat: Person | undefined): Promise<() => void> {
  const { world, knobs } = double
  const { person, device, enc } = copy
  const type = enc.attrs.type === 'pkmsg' ? 'pkmsg' : 'msg'
  const delivery: Delivery = { ...common, device, enc: type, text: '', outcome: 'read' }
  const same = world.deliveries.filter((one) => one.messageId === common.messageId && one.device === device && one.own === common.own)
  try {
    const sender = lidJid(botOf(world), companion.device)
    const read = await double.device(person, device).decrypt(sender, { type, ciphertext: bytes(enc) })
    if (!common.own && knobs.unreadable > 0) {
      knobs.unreadable--
      throw new Error('made unreadable')
    }
    delivery.text = textOf(read)
    if (same.some(({ outcome }) => outcome === 'read')) delivery.outcome = 'duplicate'
  } catch {
    delivery.outcome = 'unreadable'
  }
  record(world, delivery)
  if (common.own) return nothing
  if (delivery.outcome === 'unreadable') return () => { askAgain(double, companion, copy, common.messageId, same.length + 1) }
  if (chat && delivery.text) show(world, chat, { id: common.messageId, from: 'bot', text: delivery.text, at: common.at })
  if (device !== 0) return nothing
  return () => { double.later(knobs.receiptDelayMs, () => { sendReceipts(double, companion, person, common.messageId) }) }
}

const nothing = () => {}

function textOf (message: proto.IMessage): string {
  const said = message.deviceSentMessage?.message ?? message
  return said.conversation ?? said.extendedTextMessage?.text ?? ''
}

/** Receipts come from the LID, whatever the message was addressed to. */
function sendReceipts (double: Double, companion: Companion, person: Person, id: string): void {
  const { deliveryReceipts, readReceipts } = double.knobs
  const receipt = (type?: string) => stanza('receipt', { id, from: lidJid(person), type, t: seconds() })
  if (deliveryReceipts) deliver(double, companion, receipt())
  if (readReceipts) deliver(double, companion, receipt('read'))
}

/** A device that cannot read a message asks for it again, from the second time on with fresh keys for a new session. */
function askAgain (double: Double, companion: Companion, { person, device }: Copy, id: string, count: number): void {
  if (count > retriesMax) return
  const keys = double.device(person, device)
  const bundle = keys.bundle().filter(({ tag }) => tag !== 'registration')
  deliver(double, companion, stanza('receipt', { id, from: lidJid(person, device), type: 'retry', t: seconds() }, [
    stanza('retry', { count, id, t: seconds(), v: 1 }),
    stanza('registration', {}, encodeBigEndian(keys.keys.registrationId)),
    ...count > 1 ? [stanza('keys', {}, bundle)] : []
  ]))
}
