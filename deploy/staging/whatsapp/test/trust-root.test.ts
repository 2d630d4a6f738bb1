/**
 * Baileys 7.0.0-rc14 does not act on a wrong certificate signature, so these tests verify the chain themselves, the way a fixed client
 * would, and besides that the real one connects with the staging root and without.
 */
import { execFile } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { promisify } from 'node:util'
import t from 'tap'
import { proto, WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { certificate } from '../certificate.ts'
import { double, open } from './client.ts'

t.teardown(() => { setImmediate(() => process.exit()) })

const whatsAppRoot = WA_CERT_DETAILS.PUBLIC_KEY

void t.test('the certificate chain', async (t) => {
  const { leaf, intermediate } = proto.CertChain.decode(certificate().chain)
  const details = proto.CertChain.NoiseCertificate.Details.decode(intermediate?.details ?? new Uint8Array())

  t.ok(isSigned(details.key, leaf), 'has a leaf that its intermediate signed')
  t.notOk(isSigned(whatsAppRoot, intermediate), 'is not of WhatsApp')
  await import('../trust-root.ts')
  t.not(WA_CERT_DETAILS.PUBLIC_KEY, whatsAppRoot, 'is expected once trust-root.ts is loaded')
  t.ok(isSigned(WA_CERT_DETAILS.PUBLIC_KEY, intermediate), 'has an intermediate that the expected root signed')
  t.equal(details.issuerSerial, WA_CERT_DETAILS.SERIAL)
  const forged = Buffer.from(intermediate?.signature ?? [])
  forged[5]! ^= 1
  t.notOk(isSigned(WA_CERT_DETAILS.PUBLIC_KEY, { ...intermediate, signature: forged }), 'cannot be forged')
})

void t.test('the real client', async (t) => {
  await t.test('connects without the staging root', async (t) => {
    WA_CERT_DETAILS.PUBLIC_KEY = whatsAppRoot
    await open(t, await double(t))
  })
  await t.test('connects with it', async (t) => {
    const { stagingRoot } = await import('../root-key.ts')
    WA_CERT_DETAILS.PUBLIC_KEY = stagingRoot.public
    await open(t, await double(t))
  })
})

void t.test('the bootstrap module sets the root for a program that knows nothing of it', async (t) => {
  const program = "import('@whiskeysockets/baileys').then((it) => { process.stdout.write(it.WA_CERT_DETAILS.PUBLIC_KEY.toString('hex')) })"
  const { stagingRoot } = await import('../root-key.ts')
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--import', new URL('../trust-root.ts', import.meta.url).href, '-e', program])
  t.equal(stdout, stagingRoot.public.toString('hex'))
  t.equal((await run(process.execPath, ['-e', program])).stdout, whatsAppRoot.toString('hex'))
})

interface Signed { details?: Uint8Array | null | undefined, signature?: Uint8Array | null | undefined }

/** XEdDSA: the Curve25519 key is turned into the Ed25519 key with the sign that the signature carries in its last bit. */
function isSigned (key: Uint8Array | null | undefined, signed: Signed | null | undefined): boolean {
  if (!key || !signed?.details || !signed.signature) return false
  const p = 2n ** 255n - 19n
  const u = BigInt('0x' + Buffer.from(Uint8Array.from(key).toReversed()).toString('hex'))
  const y = (u - 1n + p) * power(u + 1n, p - 2n, p) % p
  const point = Buffer.from(Buffer.from(y.toString(16).padStart(64, '0'), 'hex').toReversed())
  const signature = Buffer.from(signed.signature)
  point[31]! |= signature[63]! & 0x80
  signature[63]! &= 0x7f
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') }, format: 'jwk' })
  return verify(null, signed.details, publicKey, signature)
}

function power (base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (let square = base % modulus, rest = exponent; rest > 0n; rest >>= 1n, square = square * square % modulus) {
    if (rest & 1n) result = result * square % modulus
  }
  return result
}
