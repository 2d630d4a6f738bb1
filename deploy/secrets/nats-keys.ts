// Which keys NATS is to let in, as the directory of secrets says.
import type { NatsKeys } from '../nats/config.ts'
import { nextOf, type Directory } from './directory.ts'
import { NATS_KEY_OWNERS, publicKeyOf, seedFileOf } from './nats-seed.ts'

/** The one that a service had until a moment ago, while its key is rotated. */
export const previousOf = (file: string): string => `${file}.old`

/** While a user's key is rotated, both of them. */
export function natsKeys (directory: Directory): NatsKeys {
  return Object.fromEntries(NATS_KEY_OWNERS.map((owner) => {
    const file = seedFileOf(owner)
    const seeds = [directory.text(file), ...[nextOf(file), previousOf(file)].filter((other) => directory.has(other)).map((other) => directory.text(other))]
    return [owner, [...new Set(seeds.map(publicKeyOf))]]
  })) as unknown as NatsKeys
}
