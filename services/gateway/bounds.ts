// How much, how long and how many, at the public port.
import type { Config } from './config.ts'

const KIB = 1024
export const BODY_BYTES_MAX = 16 * KIB
const HEADER_BYTES_MAX = 16 * KIB
const URL_PART_LENGTH_MAX = 100
/** From the first byte of a request to its last, however slowly they come; who connects and says nothing gets no longer. */
export const REQUEST_MS_MAX = 10_000
/** How often Node looks for those who took too long: with its own 30 s, the 10 s could become 40. */
export const LATENESS_MS_MAX = 1_000
const IDLE_MS_MAX = 30_000
const REQUESTS_PER_SOCKET_MAX = 1_000

/** Options of Fastify and, below `http`, of Node. */
export const BOUNDS = {
  bodyLimit: BODY_BYTES_MAX,
  requestTimeout: REQUEST_MS_MAX,
  connectionTimeout: IDLE_MS_MAX,
  keepAliveTimeout: IDLE_MS_MAX,
  maxRequestsPerSocket: REQUESTS_PER_SOCKET_MAX,
  http: {
    headersTimeout: REQUEST_MS_MAX, connectionsCheckingInterval: LATENESS_MS_MAX, maxHeaderSize: HEADER_BYTES_MAX,
    // app.ts refuses a request without it, in the shape of every error.
    requireHostHeader: false,
  },
  routerOptions: { maxParamLength: URL_PART_LENGTH_MAX },
} as const

/** The proxies that may say for whom they speak. A header from anyone else changes nothing. */
export function trustedProxies ({ TRUST_PROXY }: Pick<Config, 'TRUST_PROXY'>): string[] | false {
  const proxies = (TRUST_PROXY ?? '').split(',').map((address) => address.trim()).filter(Boolean)
  return proxies.length === 0 ? false : proxies
}
