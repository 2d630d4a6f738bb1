// The keys of the logins on their way: the provisioner seals to the public one, the bot opens with any of its private ones. Pure, as text.
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, type JsonWebKey } from 'node:crypto'

type Jwk = JsonWebKey & { readonly kid?: string }

const CURVE = 'P-256'

export function newKey (): Jwk {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: CURVE })
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID() }
}

export const publicOf = ({ kid, ...key }: Jwk): Jwk => ({ ...createPublicKey(createPrivateKey({ key, format: 'jwk' })).export({ format: 'jwk' }), ...(kid === undefined ? {} : { kid }) })

export const keysOf = (set: string): readonly Jwk[] => (JSON.parse(set) as { keys: Jwk[] }).keys
export const keySet = (keys: readonly Jwk[]): string => JSON.stringify({ keys })

export function problemOfKeys (set: string): string | null {
  try {
    const keys = keysOf(set)
    if (keys.length === 0) return 'holds no key'
    if (keys.some(({ crv, kid }) => crv !== CURVE || typeof kid !== 'string' || kid === '')) return `holds a key that is not of ${CURVE}, or has no kid`
    if (new Set(keys.map(({ kid }) => kid)).size < keys.length) return 'holds two keys with one kid'
    // A private key that does not fit the public one it carries would not open what that one sealed.
    return keys.every((key) => publicOf(key).x === key.x && publicOf(key).y === key.y) ? null : 'holds a key whose halves do not fit'
  } catch {
    return 'is no set of private keys (JWK, as JSON)'
  }
}

export function problemOfPublicKey (text: string, privateKeys: string | undefined): string | null {
  let key: Jwk
  try {
    key = JSON.parse(text) as Jwk
  } catch {
    return 'is no key (JWK, as JSON)'
  }
  if (key.d !== undefined) return 'holds a private key, which the provisioner must not have'
  if (key.crv !== CURVE || typeof key.kid !== 'string') return `is no public key of ${CURVE} with a kid`
  if (privateKeys === undefined || problemOfKeys(privateKeys) !== null) return 'has no private keys to fit'
  const own = keysOf(privateKeys).find(({ kid }) => kid === key.kid)
  return own && own.x === key.x && own.y === key.y ? null : 'has no private key: logins sealed to it could never be opened'
}
