/** What a person does in their chat with the bot. */
import { randomBytes } from 'node:crypto'
import { deliver, type Double } from './double.ts'
import { bytes, child, seconds, stanza, type Stanza } from './stanza.ts'
import { botOf, type Companion, lidJid, messageId, type Person, personByJid, phoneJid, show, stanzaId } from './world.ts'
import type { Bundle } from './device.ts'

const textLengthMax = 4_096
const retriesMax = 5

/** Writes to the bot, encrypted for each of its linked devices. Gives the message id. */
export async function say (double: Double, person: Person, text: string): Promise<string> {
  const id = messageId()
  const said = text.slice(0, textLengthMax)
  show(double.world, person, { id, from: 'member', text: said, at: Date.now() })
  const isFirst = !person.token
  for (const companion of double.world.companions) {
    if (isFirst) giveToken(double, companion, person)
    await send(double, companion, person, id, said)
  }
  double.changed()
  await double.save()
  return id
}

/** Whoever writes to the bot gives it a token by which it may write to them. */
function giveToken (double: Double, companion: Companion, person: Person): void {
  person.token ??= randomBytes(16)
  deliver(double, companion, stanza('notification', {
    from: phoneJid(person), sender_lid: lidJid(person), type: 'privacy_token', id: stanzaId(), t: seconds()
  }, [stanza('tokens', {}, [stanza('token', { jid: phoneJid(botOf(double.world)), t: seconds(), type: 'trusted_contact' }, person.token)])]))
}

/** The bot could not read a message: sends it once more in a new session. */
export async function sendAgain (double: Double, companion: Companion, receipt: Stanza): Promise<void> {
  const person = personByJid(double.world, receipt.attrs.to ?? '')
  const message = person && double.world.chats[person.lid]?.find(({ id, from }) => id === receipt.attrs.id && from === 'member')
  if (!message || Number(child(receipt, 'retry')?.attrs.count ?? 1) > retriesMax) return
  const offered = child(receipt, 'keys')
  const bundle = offered ? bundleIn(offered, companion.registrationId) : spendBundle(companion)
  await double.device(person).startSession(lidJid(botOf(double.world), companion.device), bundle)
  await send(double, companion, person, message.id, message.text)
}

async function send (double: Double, companion: Companion, person: Person, id: string, text: string): Promise<void> {
  const device = double.device(person)
  const to = lidJid(botOf(double.world), companion.device)
  if (!await device.hasSession(to)) await device.startSession(to, spendBundle(companion))
  const { type, ciphertext } = await device.encrypt(to, { conversation: text })
  deliver(double, companion, stanza('message', {
    from: lidJid(person), sender_pn: phoneJid(person), addressing_mode: 'lid', id, type: 'text', notify: person.name, t: seconds()
  }, [stanza('enc', { v: 2, type }, ciphertext)]))
}

/** What the server hands out about a linked device; a one-time key is used once. */
function spendBundle ({ registrationId, identity, signedPreKey, preKeys }: Companion): Bundle {
  const preKey = preKeys.shift()
  return { registrationId, identity, signedPreKey, ...preKey && { preKey } }
}

function bundleIn (keys: Stanza, registrationId: number): Bundle {
  const skey = child(keys, 'skey')
  return {
    registrationId,
    identity: bytes(child(keys, 'identity')),
    signedPreKey: { ...keyOf(skey), signature: bytes(child(skey, 'signature')) },
    preKey: keyOf(child(keys, 'key'))
  }
}

const keyOf = (key: Stanza | undefined) => ({ keyId: bytes(child(key, 'id')).readUIntBE(0, 3), publicKey: bytes(child(key, 'value')) })

/** The person sets up a new phone: new keys, the old sessions are gone. */
export function reinstall (double: Double, person: Person): void {
  person.keys = {}
  for (const companion of double.world.companions) {
    deliver(double, companion, stanza('notification', { from: lidJid(person), type: 'encrypt', id: messageId(), t: seconds() }, [stanza('identity')]))
  }
}
