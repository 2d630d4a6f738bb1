/**
 * The server's side of Noise_XX_25519_AESGCM_SHA256 as WhatsApp uses it, and the framing around it.
 *
 *   hello → (our ephemeral, static and certificate) → finish (their static, client payload) → transport
 *
 * Frames are a 3-byte length and a body; the client's first bytes are an optional routing header ("ED") and "WA" 6 3.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { Curve, NOISE_MODE, NOISE_WA_HEADER, proto } from '@whiskeysockets/baileys'
import { certificate } from './certificate.ts'

const frameBytesMax = 4 * 1024 * 1024
const empty = Buffer.alloc(0)

export interface NoiseHandlers {
  send: (frame: Buffer) => void
  /** The handshake is done: who the client says it is, and the key it proved to hold. */
  onClient: (payload: proto.ClientPayload, noiseKey: Buffer) => void
  /** A decrypted frame, still binary-encoded. */
  onFrame: (frame: Buffer) => void
}

export interface NoiseServer {
  receive: (chunk: Buffer) => void
  /** Encrypts and frames one encoded stanza. */
  seal: (plain: Uint8Array) => Buffer
}

/** Throws when the client breaks the protocol; the caller drops the connection. */
export function createNoiseServer ({ send, onClient, onFrame }: NoiseHandlers): NoiseServer {
  const ephemeral = Curve.generateKeyPair()
  const handshake = createHandshake()
  let transport: { read: Cipher, write: Cipher } | undefined
  let theirEphemeral: Uint8Array | undefined
  let hasIntro = false
  let pending = empty

  function takeIntro (): boolean {
    let offset = 0
    if (pending.subarray(0, 2).toString() === 'ED') {
      if (pending.length < 7) return false
      offset = 7 + pending.readUIntBE(4, 3)
    }
    if (pending.length < offset + 4) return false
    if (!pending.subarray(offset, offset + 4).equals(NOISE_WA_HEADER)) throw new Error('not a WhatsApp client')
    pending = pending.subarray(offset + 4)
    hasIntro = true
    return true
  }

  function onHello (body: Buffer) {
    const hello = proto.HandshakeMessage.decode(body).clientHello?.ephemeral
    if (!hello) throw new Error('client hello expected')
    theirEphemeral = hello
    const { leaf, chain } = certificate()
    handshake.mixHash(hello)
    handshake.mixHash(ephemeral.public)
    handshake.mixKey(Curve.sharedKey(ephemeral.private, hello))
    const staticKey = handshake.encrypt(leaf.public)
    handshake.mixKey(Curve.sharedKey(leaf.private, hello))
    const payload = handshake.encrypt(chain)
    send(framed(proto.HandshakeMessage.encode({ serverHello: { ephemeral: ephemeral.public, static: staticKey, payload } }).finish()))
  }

  function onFinish (body: Buffer) {
    const finish = proto.HandshakeMessage.decode(body).clientFinish
    if (!finish?.static || !finish.payload) throw new Error('client finish expected')
    const noiseKey = handshake.decrypt(finish.static)
    handshake.mixKey(Curve.sharedKey(ephemeral.private, noiseKey))
    const payload = proto.ClientPayload.decode(handshake.decrypt(finish.payload))
    const [read, write] = handshake.split()
    transport = { read: createCipher(read), write: createCipher(write) }
    onClient(payload, noiseKey)
  }

  function onBody (body: Buffer) {
    if (transport) onFrame(transport.read.open(body))
    else if (theirEphemeral) onFinish(body)
    else onHello(body)
  }

  handshake.mixHash(NOISE_WA_HEADER)
  return {
    receive (chunk) {
      pending = Buffer.concat([pending, chunk])
      if (!hasIntro && !takeIntro()) return
      while (pending.length >= 3) {
        const length = pending.readUIntBE(0, 3)
        if (length > frameBytesMax) throw new Error('frame too large')
        if (pending.length < length + 3) return
        const body = pending.subarray(3, length + 3)
        pending = pending.subarray(length + 3)
        onBody(body)
      }
    },
    seal (plain) {
      if (!transport) throw new Error('handshake not finished')
      return framed(transport.write.seal(plain))
    }
  }
}

interface Cipher { seal: (plain: Uint8Array, data?: Uint8Array) => Buffer, open: (sealed: Uint8Array, data?: Uint8Array) => Buffer }

/** AES-256-GCM under one key; the nonce is 8 zero bytes and a counter, the tag follows the text. */
function createCipher (key: Buffer): Cipher {
  let counter = 0
  function nonce () {
    const iv = Buffer.alloc(12)
    iv.writeUInt32BE(counter++, 8)
    return iv
  }
  return {
    seal (plain, data = empty) {
      const cipher = createCipheriv('aes-256-gcm', key, nonce()).setAAD(data)
      return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
    open (sealed, data = empty) {
      const decipher = createDecipheriv('aes-256-gcm', key, nonce()).setAAD(data)
      decipher.setAuthTag(sealed.subarray(-16))
      return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
    }
  }
}

function createHandshake () {
  let hash: Buffer = Buffer.from(NOISE_MODE)
  let salt: Buffer = hash
  let cipher: Cipher | undefined

  const mixHash = (data: Uint8Array) => { hash = createHash('sha256').update(hash).update(data).digest() }
  function expand (secret: Uint8Array): [Buffer, Buffer] {
    const keys = Buffer.from(hkdfSync('sha256', secret, salt, empty, 64))
    return [keys.subarray(0, 32), keys.subarray(32)]
  }
  function keyed () {
    if (!cipher) throw new Error('no handshake key yet')
    return cipher
  }
  return {
    mixHash,
    mixKey (secret: Uint8Array) {
      const [nextSalt, key] = expand(secret)
      salt = nextSalt
      cipher = createCipher(key)
    },
    encrypt (plain: Uint8Array) {
      const sealed = keyed().seal(plain, hash)
      mixHash(sealed)
      return sealed
    },
    decrypt (sealed: Uint8Array) {
      const plain = keyed().open(sealed, hash)
      mixHash(sealed)
      return plain
    },
    split: () => expand(empty)
  }
}

function framed (body: Uint8Array): Buffer {
  const head = Buffer.alloc(3)
  head.writeUIntBE(body.length, 0, 3)
  return Buffer.concat([head, body])
}
