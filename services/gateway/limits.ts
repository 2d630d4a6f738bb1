// How often somebody may ask, counted in this process: with n gateways a limit is n times as high.
import { createHmac, randomBytes } from 'node:crypto'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from './refusal.ts'

export interface Limits {
  /** Each throws a Refusal RATE_LIMITED where the minute is used up. */
  attempt (request: FastifyRequest): Promise<void>
  number (request: FastifyRequest, waJid: string): Promise<void>
  look (request: FastifyRequest): Promise<void>
}

const MINUTE_MS = 60_000
/** Addresses and numbers remembered at once; beyond, those seen longest ago are forgotten. */
const REMEMBERED_MAX = 50_000

export async function createLimits (app: FastifyInstance, perMinute: { attemptsPerAddress: number, attemptsPerNumber: number, looksPerAddress: number }): Promise<Limits> {
  const numbers = new WeakMap<FastifyRequest, string>()
  // Numbers are remembered under a key that dies with the process, so that a memory dump is no list of members.
  const key = randomBytes(32)
  // The plugin's own key for an address takes an IPv6 network of 64 bits, which is one customer, as one.
  await app.register(rateLimit, { global: false, cache: REMEMBERED_MAX, timeWindow: MINUTE_MS, ipv6Subnet: 64 })
  const attempts = app.createRateLimit({ max: perMinute.attemptsPerAddress, timeWindow: MINUTE_MS })
  const looks = app.createRateLimit({ max: perMinute.looksPerAddress, timeWindow: MINUTE_MS })
  const perNumber = app.createRateLimit({ max: perMinute.attemptsPerNumber, timeWindow: MINUTE_MS, keyGenerator: (request) => numbers.get(request) ?? '' })

  async function count (limiter: typeof attempts, request: FastifyRequest): Promise<void> {
    const result = await limiter(request)
    if (!result.isAllowed && result.isExceeded) throw new Refusal('RATE_LIMITED', { retryAfterS: Math.max(1, result.ttlInSeconds) })
  }
  return {
    attempt: async (request) => { await count(attempts, request) },
    look: async (request) => { await count(looks, request) },
    number: async (request, waJid) => {
      numbers.set(request, createHmac('sha256', key).update(waJid).digest('base64url'))
      await count(perNumber, request)
    },
  }
}
