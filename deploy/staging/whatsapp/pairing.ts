/**
 * Linking a device: by QR code, by an eight-character code, or already done (for tests). In both real ways the phone ends up with a secret
 * shared with the companion (`advSecret`), signs the companion's identity and authenticates that signature by the secret.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, pbkdf2Sync, randomBytes } from 'node:crypto'
import {
  type AuthenticationCreds, BufferJSON, createSignalIdentity, Curve, initAuthCreds, proto, WA_ADV_ACCOUNT_SIG_PREFIX, WA_ADV_DEVICE_SIG_PREFIX
} from '@whiskeysockets/baileys'
import type { Connection, Double, Registration } from './double.ts'
import { bytes, child, QueryError, seconds, serverJid, stanza, type Stanza } from './stanza.ts'
import { failure, streamError } from './stanzas/login.ts'
import { botOf, type Companion, lidJid, phoneJid, stanzaId } from './world.ts'

const refsPerQr = 6
const pbkdf2Iterations = 131_072
const empty = Buffer.alloc(0)

export type Linked = { linked: true, device: number } | { linked: false, reason: 'unknown-qr' | 'registration-refresh' | 'passkey' | 'wrong-code' }

/** A client without an account: gives it what its QR codes show. */
export function offerPairing (double: Double, connection: Connection, data: proto.ClientPayload.IDevicePairingRegistrationData, noiseKey: Buffer): void {
  const { eRegid, eIdent, eSkeyId, eSkeyVal, eSkeySig } = data
  if (!eRegid || !eIdent || !eSkeyId || !eSkeyVal || !eSkeySig) return connection.end(failure(400))
  connection.registration = {
    refs: Array.from({ length: refsPerQr }, () => `2@${randomBytes(48).toString('base64')}`),
    noiseKey,
    registrationId: Buffer.from(eRegid).readUInt32BE(),
    identity: eIdent,
    signedPreKey: { keyId: Buffer.from(eSkeyId).readUIntBE(0, 3), publicKey: eSkeyVal, signature: eSkeySig }
  }
  const refs = connection.registration.refs.map((ref) => stanza('ref', {}, ref))
  connection.send(stanza('iq', { from: serverJid, type: 'set', id: stanzaId(), xmlns: 'md' }, [stanza('pair-device', {}, refs)]))
  double.changed()
}

/** The phone scans what the client shows: `https://…#ref,noise key,identity,secret,platform`. */
export function scan (double: Double, qr: string): Linked {
  const [ref = '', noiseKey = '', , secret = ''] = (qr.split('#').at(-1) ?? '').split(',')
  const connection = [...double.connections].find(({ registration }) => registration?.refs.includes(ref))
  const registration = connection?.registration
  if (!connection || !registration || !Buffer.from(noiseKey, 'base64').equals(registration.noiseKey)) return { linked: false, reason: 'unknown-qr' }
  if (double.knobs.passkey) {
    tell(connection, 'passkey_prologue_request')
    return { linked: false, reason: 'passkey' }
  }
  if (double.knobs.registrationRefresh && (registration.staleSecret ?? secret) === secret) {
    registration.staleSecret = secret
    tell(connection, 'companion_reg_refresh')
    return { linked: false, reason: 'registration-refresh' }
  }
  return link(double, connection, registration, Buffer.from(secret, 'base64'))
}

/** The phone's user types the code that the client shows. */
export async function typeCode (double: Double, code: string): Promise<Linked> {
  const connection = [...double.connections].find(({ registration }) => registration?.hello)
  const registration = connection?.registration
  if (!connection || !registration?.hello) return { linked: false, reason: 'wrong-code' }
  const { hello: { wrappedEphemeral, ref } } = registration
  const phone = Curve.generateKeyPair()
  const identity = double.device(botOf(double.world)).keys.identity
  const theirs = unwrap(Buffer.from(wrappedEphemeral), code)

  const answered = new Promise<{ wrapped: Buffer, identity: Buffer }>((resolve) => { registration.finish = resolve })
  tell(connection, 'link_code_companion_reg', { stage: 'primary_hello' }, [
    stanza('link_code_pairing_wrapped_primary_ephemeral_pub', {}, wrap(phone.public, code)),
    stanza('primary_identity_pub', {}, identity.public),
    stanza('link_code_pairing_ref', {}, ref)
  ])
  const finish = await answered
  try {
    const shared = Curve.sharedKey(phone.private, theirs)
    const random = openBundle(finish.wrapped, shared).subarray(64, 96)
    const secret = hkdfSync('sha256', Buffer.concat([shared, Curve.sharedKey(identity.private, finish.identity), random]), empty, 'adv_secret', 32)
    return link(double, connection, registration, Buffer.from(secret))
  } catch {
    return { linked: false, reason: 'wrong-code' }
  }
}

/** The client's half of linking by code. */
export function onLinkCode (connection: Connection, request: Stanza): Stanza[] {
  const { registration } = connection
  if (!registration) throw new QueryError(400)
  if (request.attrs.stage === 'companion_hello') {
    const ref = randomBytes(16)
    registration.hello = { wrappedEphemeral: bytes(child(request, 'link_code_pairing_wrapped_companion_ephemeral_pub')), ref }
    return [stanza('link_code_companion_reg', { stage: 'companion_hello' }, [stanza('link_code_pairing_ref', {}, ref)])]
  }
  registration.finish?.({
    wrapped: bytes(child(request, 'link_code_pairing_wrapped_key_bundle')), identity: bytes(child(request, 'companion_identity_public'))
  })
  return []
}

/** The client has signed its side: from now on the device exists, and has to log in anew. */
export function onPairingResult (double: Double, connection: Connection, result: Stanza): void {
  const linking = connection.registration?.linking
  if (!linking || !child(result, 'pair-device-sign')) return
  double.world.companions.push(linking)
  double.changed()
  connection.end(streamError(515))
}

/** Credentials of a device that was linked before, as `BufferJSON` text, for tests that are not about linking. */
export function createLinkedSession (double: Double, { preKeys = 'claimed' }: { preKeys?: 'claimed' | 'none' } = {}): string {
  const { world } = double
  const bot = botOf(world)
  const creds = initAuthCreds()
  const account = double.device(bot).keys.identity
  const signed = sign(account, creds.signedIdentityKey.public)
  const device = world.nextDevice++
  const deviceMessage = Buffer.concat([WA_ADV_DEVICE_SIG_PREFIX, signed.details, creds.signedIdentityKey.public, account.public])
  const linked: AuthenticationCreds = {
    ...creds,
    me: { id: phoneJid(bot, device), lid: lidJid(bot, device), name: bot.name },
    account: { ...signed, deviceSignature: Curve.sign(creds.signedIdentityKey.private, deviceMessage) },
    signalIdentities: [createSignalIdentity(lidJid(bot, device), account.public)],
    platform: 'android',
    registered: true,
    // 0 would make the client hold back events for 20 s while it waits for its history.
    accountSyncCounter: 1
  }
  const { keyId, keyPair, signature } = creds.signedPreKey
  world.companions.push({
    device, noiseKey: creds.noiseKey.public, registrationId: creds.registrationId, identity: creds.signedIdentityKey.public,
    signedPreKey: { keyId, publicKey: keyPair.public, signature }, preKeys: [], claimedPreKeys: preKeys === 'claimed' ? 812 : 0, queue: []
  })
  double.changed()
  return JSON.stringify(linked, BufferJSON.replacer)
}

function link (double: Double, connection: Connection, registration: Registration, secret: Buffer): Linked {
  const bot = botOf(double.world)
  const device = double.world.nextDevice++
  const { noiseKey, registrationId, identity, signedPreKey } = registration
  const linking: Companion = { device, noiseKey, registrationId, identity, signedPreKey, preKeys: [], claimedPreKeys: 0, queue: [] }
  registration.linking = linking
  const details = proto.ADVSignedDeviceIdentity.encode(sign(double.device(bot).keys.identity, identity)).finish()
  const blob = proto.ADVSignedDeviceIdentityHMAC.encode({ details, hmac: createHmac('sha256', secret).update(details).digest() }).finish()
  connection.send(stanza('iq', { from: serverJid, type: 'set', id: stanzaId(), xmlns: 'md', t: seconds() }, [stanza('pair-success', {}, [
    stanza('device-identity', {}, blob),
    stanza('device', { jid: phoneJid(bot, device), lid: lidJid(bot, device) }),
    stanza('platform', { name: 'android' })
  ])]))
  return { linked: true, device }
}

/** The phone vouches for the companion: its account key signs the companion's identity. */
function sign (account: { private: Uint8Array, public: Uint8Array }, companionIdentity: Uint8Array) {
  const details = proto.ADVDeviceIdentity.encode({ rawId: 1, timestamp: seconds(), keyIndex: 1, accountType: proto.ADVEncryptionType.E2EE, deviceType: proto.ADVEncryptionType.E2EE }).finish()
  const accountSignature = Curve.sign(account.private, Buffer.concat([WA_ADV_ACCOUNT_SIG_PREFIX, details, companionIdentity]))
  return { details, accountSignatureKey: account.public, accountSignature }
}

function tell ({ send }: Connection, type: string, attributes = {}, content: Stanza[] = []): void {
  send(stanza('notification', { from: serverJid, type, id: stanzaId(), t: seconds() }, [stanza(type, attributes, content)]))
}

const codeKey = (code: string, salt: Buffer) => pbkdf2Sync(code, salt, pbkdf2Iterations, 32, 'sha256')

/** salt, nonce, and the key encrypted under the code: 32 + 16 + 32 bytes. */
function wrap (publicKey: Uint8Array, code: string): Buffer {
  const salt = randomBytes(32)
  const iv = randomBytes(16)
  return Buffer.concat([salt, iv, createCipheriv('aes-256-ctr', codeKey(code, salt), iv).update(publicKey)])
}

const unwrap = (wrapped: Buffer, code: string): Buffer =>
  createDecipheriv('aes-256-ctr', codeKey(code, wrapped.subarray(0, 32)), wrapped.subarray(32, 48)).update(wrapped.subarray(48, 80))

/** Both identities and 32 random bytes; fails when the code was typed wrong. */
function openBundle (wrapped: Buffer, shared: Buffer): Buffer {
  const key = hkdfSync('sha256', shared, wrapped.subarray(0, 32), 'link_code_pairing_key_bundle_encryption_key', 32)
  const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key), wrapped.subarray(32, 44))
  decipher.setAuthTag(wrapped.subarray(-16))
  return Buffer.concat([decipher.update(wrapped.subarray(44, -16)), decipher.final()])
}
