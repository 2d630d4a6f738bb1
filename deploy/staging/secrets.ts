// A full set of secrets for a staging system, each in a file of its own that only its owner can read.
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Which service is given which secret. A secret that is not named here for a service never reaches its environment. */
const HOLDERS = {
  MEMBER_ID_KEY: ['claim-store', 'bot', 'gateway'],
  WEBHOOK_SECRETS: ['gateway'],
  LEDGER_KEYS: ['claim-store'],
  INTERNAL_SECRET: ['gateway', 'reaper', 'bot'],
  SESSION_KEY: ['bot'],
  LOGIN_PRIVATE_KEYS: ['bot'],
  LOGIN_PUBLIC_KEY: ['provisioner'],
  PANEL_KEY: ['provisioner'],
} as const
type SecretName = keyof typeof HOLDERS

export interface StagingSecrets {
  /** `NAME_FILE` variables for a service. */
  envFor (service: string): Record<string, string>
  value (name: SecretName): string
}

/** Makes what is missing below `directory` and keeps what is there. */
export function stagingSecrets (directory: string, read: (path: string) => string): StagingSecrets {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = (name: SecretName): string => join(directory, name.toLowerCase())
  const keep = (name: SecretName, make: () => string): void => { if (!existsSync(path(name))) writeFileSync(path(name), make(), { mode: 0o600 }) }
  keep('MEMBER_ID_KEY', () => randomBytes(32).toString('hex'))
  keep('LEDGER_KEYS', () => randomBytes(32).toString('hex'))
  keep('INTERNAL_SECRET', () => randomBytes(32).toString('hex'))
  keep('WEBHOOK_SECRETS', () => randomBytes(32).toString('hex'))
  keep('SESSION_KEY', () => randomBytes(32).toString('hex'))
  keep('PANEL_KEY', () => `ptla_${randomBytes(64).toString('base64').replaceAll(/[^A-Za-z0-9]/g, '').slice(0, 43)}`)
  if (!existsSync(path('LOGIN_PRIVATE_KEYS'))) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const kid = randomUUID()
    writeFileSync(path('LOGIN_PUBLIC_KEY'), JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kid }), { mode: 0o600 })
    writeFileSync(path('LOGIN_PRIVATE_KEYS'), JSON.stringify({ keys: [{ ...privateKey.export({ format: 'jwk' }), kid }] }), { mode: 0o600 })
  }
  const names = Object.keys(HOLDERS) as SecretName[]
  return {
    envFor: (service) => Object.fromEntries(names.filter((name) => (HOLDERS[name] as readonly string[]).includes(service)).map((name) => [`${name}_FILE`, path(name)])),
    value: (name) => read(path(name)),
  }
}
