// Pact, as both sides of the contract use it. The consumer's test writes the pact, the provider's test holds the provider to it.
//
// Pact reports its use to its makers, and its verifier sends what it verifies through a proxy that the environment names: neither here. Both
// are read when the first contract is made or verified, so it is enough that this file was loaded before.
import { join } from 'node:path'
import { MatchersV3, PactV4, Verifier } from '@pact-foundation/pact'

process.env['PACT_DO_NOT_TRACK'] = 'true'
for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy']) delete process.env[name]

export const CONSUMER = 'outside-bot'
export const PROVIDER = 'klaim-gateway'
export const PACT_NAME = `${CONSUMER}-${PROVIDER}.json`
export const PACT_FILE = join(import.meta.dirname, '../pacts', PACT_NAME)

/** The states of the gateway that the contract speaks of. */
export const STATES = {
  listening: 'the gateway watches the group 120363000000000001@g.us and shares a secret with the bot',
  otherSecret: 'the bot signs with a secret that the gateway does not have',
  slowClock: 'the clock of the bot is two minutes behind',
  nonceUsed: 'a notice with this nonce is stored',
  tooOften: 'the address of the bot has asked too often in this minute',
  away: 'the gateway cannot store anything now',
} as const

export { MatchersV3, PactV4, Verifier }
