/** API keys: who owns them and what they may do. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

export const resources = ['servers', 'nodes', 'allocations', 'users', 'locations', 'nests', 'eggs', 'database_hosts', 'server_databases'] as const
export type Resource = typeof resources[number]
export type Acl = Record<Resource, number>

export const READ = 1
export const WRITE = 2

export interface ApiKey {
  kind: 'application' | 'account'
  identifier: string
  secretHash: Buffer
  ownerId: number
  acl: Acl
  allowedIps: string[] | null
}

/** The same permission (0 none, 1 read, 2 write, 3 both) for every resource. */
export const acl = (permission: number, special: Partial<Acl> = {}): Acl =>
  ({ ...Object.fromEntries(resources.map(resource => [resource, permission])) as Acl, ...special })

/** 48 characters: the first 16 find the key, the rest prove it. */
export const newKey = (prefix: 'ptla_' | 'ptlc_') => prefix + randomBytes(40).toString('base64').replaceAll(/[^A-Za-z0-9]/g, 'x').slice(0, 43)

export const isKey = (text: string) => /^ptl[ac]_[A-Za-z0-9]{43}$/.test(text)

export function apiKey (text: string, ownerId: number, keyAcl: Acl, allowedIps: string[] | null = null): ApiKey {
  if (!isKey(text)) throw new Error('PANEL_DOUBLE_KEY_INVALID')
  return {
    kind: text.startsWith('ptla_') ? 'application' : 'account',
    identifier: text.slice(0, 16), secretHash: hash(text.slice(16)), ownerId, acl: keyAcl, allowedIps
  }
}

export function findKey (keys: Iterable<ApiKey>, authorization: string | undefined): ApiKey | undefined {
  const text = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1]?.trim()
  if (text === undefined) return undefined
  const secretHash = hash(text.slice(16))
  for (const key of keys) if (key.identifier === text.slice(0, 16) && timingSafeEqual(key.secretHash, secretHash)) return key
  return undefined
}

/** An administrator's account key is not held to the list of permissions. */
export const may = (key: ApiKey, resource: Resource, permission: number) => key.kind === 'account' || (key.acl[resource] & permission) !== 0

const hash = (secret: string) => createHash('sha256').update(secret).digest()
