// The nkeys of the users of NATS: a service proves by its seed who it is, and the server knows public keys only.
import { nkeys } from '@nats-io/transport-node'
import { NATS_USERS, type NatsUser } from '../nats/config.ts'

/** The services, the operator, and `system`, which sees the server itself. */
export const NATS_KEY_OWNERS = [...NATS_USERS, 'system'] as const
export type NatsKeyOwner = NatsUser | 'system'
export const seedFileOf = (owner: NatsKeyOwner): string => `nats_${owner.replace('-', '_')}.nk`

export const newSeed = (): string => new TextDecoder().decode(nkeys.createUser().getSeed())

/** Throws where it is none. */
export const publicKeyOf = (seed: string): string => nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey()

export function problemOfSeed (text: string): string | null {
  try {
    return publicKeyOf(text).startsWith('U') ? null : 'is no seed of a user'
  } catch {
    return 'is no seed of an nkey'
  }
}
