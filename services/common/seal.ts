// The panel password travels sealed: the provisioner knows the bot's public key, and only the bot can open.
import { compactDecrypt, CompactEncrypt, importJWK, type JWK } from 'jose'
import { permanent } from './fault.ts'

/** Compact JWE, ECDH-ES with A256GCM. `publicKey` is a JWK as JSON text (EC P-256 or X25519) with a `kid`. */
export async function createSealer (publicKey: string): Promise<(secret: string) => Promise<string>> {
  const jwk = JSON.parse(publicKey) as JWK
  const key = await importJWK(jwk, 'ECDH-ES')
  const header = { alg: 'ECDH-ES', enc: 'A256GCM', ...(jwk.kid === undefined ? {} : { kid: jwk.kid }) }
  return async (secret) => await new CompactEncrypt(new TextEncoder().encode(secret)).setProtectedHeader(header).encrypt(key)
}

/**
 * Opens what was sealed to any of `privateKeys` (a JWK set as JSON text, so that an old key still opens what is under way during a rotation).
 * Throws a permanent Fault SEAL_UNREADABLE.
 */
export async function createOpener (privateKeys: string): Promise<(sealed: string) => Promise<string>> {
  const { keys } = JSON.parse(privateKeys) as { keys: JWK[] }
  const byId = new Map(await Promise.all(keys.map(async (jwk) => [jwk.kid, await importJWK(jwk, 'ECDH-ES')] as const)))
  return async (sealed) => {
    try {
      const { plaintext } = await compactDecrypt(sealed, (header) => {
        const key = byId.get(header?.kid)
        if (!key) throw new Error('unknown kid')
        return key
      }, { keyManagementAlgorithms: ['ECDH-ES'], contentEncryptionAlgorithms: ['A256GCM'] })
      return new TextDecoder().decode(plaintext)
    } catch (error) {
      throw permanent('SEAL_UNREADABLE', 'a sealed text cannot be opened with any key of ours', { cause: error })
    }
  }
}
