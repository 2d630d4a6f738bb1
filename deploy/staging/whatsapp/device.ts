/**
 * A simulated Signal device: a member's phone, a second device of theirs, or the bot account's own phone. It has its own keys and
 * sessions, so that what the bot encrypts for it can be read by it alone, and breaks where a real device would break.
 */
import { randomInt } from 'node:crypto'
import {
  Curve, DEFAULT_CONNECTION_CONFIG, encodeBigEndian, encodeWAMessage, generateSignalPubKey, type KeyPair, KEY_BUNDLE_TYPE, proto,
  type SignalDataSet, type SignalDataTypeMap, signedKeyPair, type SignedKeyPair, unpadRandomMax16, xmppPreKey, xmppSignedPreKey
} from '@whiskeysockets/baileys'
import { silentLog } from './silent-log.ts'
import { stanza, type Stanza } from './stanza.ts'

const preKeysMax = 50

/** What a device keeps for ever; plain values, so that it can be written to the state file. */
export interface DeviceKeys {
  registrationId: number
  identity: KeyPair
  signedPreKey: SignedKeyPair
  nextPreKeyId: number
  /** Baileys' key store by type and id: sessions, one-time keys, known identities. */
  store: Record<string, Record<string, unknown>>
}

/** The public half of a device, from which a session can be started. */
export interface Bundle {
  registrationId: number
  identity: Uint8Array
  signedPreKey: { keyId: number, publicKey: Uint8Array, signature: Uint8Array }
  preKey?: { keyId: number, publicKey: Uint8Array }
}

export interface Ciphertext { type: 'pkmsg' | 'msg', ciphertext: Uint8Array }

export interface Device {
  keys: DeviceKeys
  /** Children of the `<user>` element that answers a key query; each answer spends a fresh one-time key. */
  bundle: () => Stanza[]
  /** Throws when the message cannot be read. */
  decrypt: (from: string, sealed: Ciphertext) => Promise<proto.Message>
  encrypt: (to: string, message: proto.IMessage) => Promise<Ciphertext>
  hasSession: (jid: string) => Promise<boolean>
  startSession: (jid: string, bundle: Bundle) => Promise<void>
}

/** Generating takes some 10 ms (the signature is pure JavaScript), so callers make devices when they are first needed. */
export function generateDeviceKeys (): DeviceKeys {
  const identity = Curve.generateKeyPair()
  return { registrationId: randomInt(1, 16380), identity, signedPreKey: signedKeyPair(identity, 1), nextPreKeyId: 1, store: {} }
}

export function createDevice (keys: DeviceKeys): Device {
  const creds = { signedIdentityKey: keys.identity, signedPreKey: keys.signedPreKey, registrationId: keys.registrationId }
  const signal = DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds, keys: createKeyStore(keys.store) }, silentLog)
  let last: Promise<unknown> = Promise.resolve()

  /** One thing at a time: a ratchet that is read twice before it is written breaks the session. */
  function inTurn<T> (work: () => Promise<T>): Promise<T> {
    const turn = last.then(work, work)
    last = turn.catch(() => {})
    return turn
  }

  return {
    keys,
    bundle () {
      const preKey = Curve.generateKeyPair()
      const preKeyId = keys.nextPreKeyId++
      const preKeys = keys.store['pre-key'] ??= {}
      preKeys[preKeyId] = preKey
      for (const oldest of Object.keys(preKeys).slice(0, -preKeysMax)) delete preKeys[oldest]
      return [
        stanza('registration', {}, encodeBigEndian(keys.registrationId)),
        stanza('type', {}, KEY_BUNDLE_TYPE),
        stanza('identity', {}, keys.identity.public),
        xmppSignedPreKey(keys.signedPreKey),
        xmppPreKey(preKey, preKeyId)
      ]
    },
    decrypt: (jid, sealed) => inTurn(async () => {
      return proto.Message.decode(unpadRandomMax16(await signal.decryptMessage({ jid, ...sealed })))
    }),
    encrypt: (jid, message) => inTurn(() => signal.encryptMessage({ jid, data: encodeWAMessage(message) })),
    hasSession: (jid) => inTurn(async () => (await signal.validateSession(jid)).exists),
    startSession: (jid, bundle) => inTurn(async () => {
      const { registrationId, preKey, signedPreKey } = bundle
      await signal.injectE2ESession({
        jid,
        session: {
          registrationId,
          identityKey: generateSignalPubKey(Buffer.from(bundle.identity)),
          signedPreKey: { ...signedPreKey, publicKey: generateSignalPubKey(Buffer.from(signedPreKey.publicKey)) },
          ...preKey && { preKey: { ...preKey, publicKey: generateSignalPubKey(Buffer.from(preKey.publicKey)) } }
        }
      })
    })
  }
}

function createKeyStore (store: DeviceKeys['store']) {
  return {
    get<T extends keyof SignalDataTypeMap> (type: T, ids: string[]) {
      const found: Record<string, SignalDataTypeMap[T]> = {}
      for (const id of ids) {
        const value = store[type]?.[id]
        // What is under a type was put there by `set` with the same type.
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion
        if (value !== undefined) found[id] = value as SignalDataTypeMap[T]
      }
      return found
    },
    set (data: SignalDataSet) {
      for (const [type, values] of Object.entries(data)) {
        const kept = store[type] ??= {}
        for (const [id, value] of Object.entries(values)) {
          if (value === null) delete kept[id]
          else kept[id] = value
        }
      }
    },
    isInTransaction: () => false,
    transaction: <T>(work: () => Promise<T>) => work()
  }
}
