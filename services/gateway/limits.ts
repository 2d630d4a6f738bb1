// How often somebody may ask, counted over all gateways. Who asks too often is told when to come again and is never shut out: thousands of
// members share the address of a mobile network.
import { hkdfSync } from 'node:crypto'
import { isIP } from 'node:net'
import rateLimit, { normalizeIP, type CreateRateLimitOptions } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Counters } from '../common/counters.ts'
import type { Log } from '../common/log.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { createLimitStore } from './limit-store.ts'
import { Refusal } from './refusal.ts'

export interface Limits {
  /** Each throws a Refusal RATE_LIMITED where the minute is used up. */
  attempt (request: FastifyRequest): Promise<void>
  number (request: FastifyRequest, waJid: string): Promise<void>
  look (request: FastifyRequest): Promise<void>
}

export interface LimitsOptions {
  readonly perMinute: { readonly attemptsPerAddress: number, readonly attemptsPerNumber: number, readonly looksPerAddress: number }
  readonly counters: Counters
  /** What all gateways share anyway. */
  readonly internalSecret: string
  readonly log: Log
  readonly metrics: HttpMetrics
  readonly now: () => Date
}

const MINUTE_MS = 60_000
/** An IPv6 network of 64 bits is one customer, who can take any address of it. */
const IPV6_NETWORK_BITS = 64

export async function createLimits (app: FastifyInstance, { perMinute, counters, internalSecret, log, metrics, now }: LimitsOptions): Promise<Limits> {
  const numbers = new WeakMap<FastifyRequest, string>()
  let isShared = true
  const onCounted = (how: 'shared' | 'alone', error?: unknown): void => {
    metrics.limitCounts.inc({ how })
    if (isShared === (how === 'shared')) return
    isShared = how === 'shared'
    if (isShared) log.info('limits are shared with the other gateways again')
    else log.warn({ code: 'NATS_UNAVAILABLE', err: error }, 'limits are counted by this gateway alone')
  }
  await app.register(rateLimit, {
    global: false, timeWindow: MINUTE_MS, keyGenerator: (request) => normalizeIP(addressOf(request), IPV6_NETWORK_BITS),
    store: createLimitStore({ counters, key: new Uint8Array(hkdfSync('sha256', internalSecret, '', 'klaim: names of limits', 32)), now, onCounted }),
  })
  // The name of its group tells the store which limit a count is for.
  const limiter = (groupId: string, options: CreateRateLimitOptions): ReturnType<typeof app.createRateLimit> => app.createRateLimit(Object.assign(options, { groupId }))
  const attempts = limiter('attempts', { max: perMinute.attemptsPerAddress })
  const looks = limiter('looks', { max: perMinute.looksPerAddress })
  const perNumber = limiter('numbers', { max: perMinute.attemptsPerNumber, keyGenerator: (request) => numbers.get(request) ?? '' })

  async function count (limiter: typeof attempts, request: FastifyRequest): Promise<void> {
    const result = await limiter(request)
    if (!result.isAllowed && result.isExceeded) throw new Refusal('RATE_LIMITED', { retryAfterS: Math.max(1, result.ttlInSeconds) })
  }
  return {
    attempt: async (request) => { await count(attempts, request) },
    look: async (request) => { await count(looks, request) },
    number: async (request, waJid) => {
      numbers.set(request, waJid)
      await count(perNumber, request)
    },
  }
}

/** Whatever a trusted proxy put through that is no address (`unknown`, an address with its port) counts as the proxy itself: otherwise each such text would have limits of its own. */
export function addressOf ({ ip, socket }: Pick<FastifyRequest, 'ip'> & { socket: { remoteAddress?: string | undefined } }): string {
  return isIP(ip) === 0 ? socket.remoteAddress ?? '' : ip
}
