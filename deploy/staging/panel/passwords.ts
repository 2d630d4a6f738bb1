/** The double keeps hashes, as a panel does, so that a test can prove that a login works and nothing can show it. */
import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'

// Cheap on purpose: how long bcrypt takes is a knob, not work for two cores.
const cost = { N: 1024, r: 8, p: 1 }

export const randomPassword = () => randomBytes(24).toString('base64url')

export function hashPassword (password: string): string {
  const salt = randomBytes(16)
  return `${salt.toString('hex')}:${scryptSync(password, salt, 32, cost).toString('hex')}`
}

export function isPassword (hash: string, password: string): boolean {
  const [salt = '', key = ''] = hash.split(':')
  return timingSafeEqual(Buffer.from(key, 'hex'), scryptSync(password, Buffer.from(salt, 'hex'), 32, cost))
}
