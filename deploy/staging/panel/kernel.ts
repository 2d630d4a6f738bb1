/**
 * The way of a request through the panel, in the order measured:
 *   maintenance 503 → route 404/405 → key 401 → body 400 → second factor 400 → address 403 → rate limit 429
 *   → rows of the path 404 → administrator 403 → permission 403 → validation 422 → controller
 */
import { forbidden, maintenance, malformedJson, PanelError, tooManyAttempts, twoFactorRequired, unauthenticated } from './errors.ts'
import { infrastructureRoutes } from './infrastructure-routes.ts'
import { isFields } from './json.ts'
import { findKey, may } from './keys.ts'
import { remote } from './remote-routes.ts'
import { bind, match } from './routing.ts'
import { serverRoutes } from './server-routes.ts'
import { userRoutes } from './user-routes.ts'
import type { PanelContext } from './context.ts'
import type { Fields } from './json.ts'
import type { CommitKind } from './knobs.ts'
import type { ApiKey } from './keys.ts'
import type { RateLimiter } from './rate-limit.ts'
import type { Match } from './routing.ts'

export interface Incoming {
  method: string
  path: string
  query: URLSearchParams
  origin: string
  authorization: string | undefined
  contentType: string | undefined
  text: string
  address: string
}

export interface Outcome {
  status: number
  body?: unknown
  error?: PanelError
  headers: Record<string, string>
  /** As counted in the state summary, e.g. `GET /users/{user}`. */
  route: string
  committed?: CommitKind
}

export interface Kernel { handle: (incoming: Incoming) => Promise<Outcome> }

export function createKernel (context: PanelContext, keys: Iterable<ApiKey>, limiter: RateLimiter, now: () => number): Kernel {
  const { state, knobs } = context
  const routes = [...userRoutes(context), ...infrastructureRoutes(context), ...serverRoutes(context)]

  async function handle (incoming: Incoming): Promise<Outcome> {
    const outcome: Outcome = { status: 200, headers: {}, route: 'unknown' }
    try {
      if (knobs.maintenance) throw maintenance()
      const answer = incoming.path.startsWith('/api/remote/')
        ? remote(context, incoming.method, incoming.path, incoming.authorization, bodyOf(incoming))
        : await application(incoming, outcome)
      return Object.assign(outcome, answer)
    } catch (error) {
      if (!(error instanceof PanelError)) throw error
      return Object.assign(outcome, { status: error.status, error })
    }
  }

  async function application (incoming: Incoming, outcome: Outcome) {
    const matched: Match = match(routes, incoming.method, incoming.path)
    outcome.route = `${matched.route.method} ${matched.route.pattern}`
    const key = findKey(keys, incoming.authorization)
    const owner = key === undefined ? undefined : state.users.get(key.ownerId)
    if (key === undefined || owner === undefined) throw unauthenticated()
    const body = bodyOf(incoming)
    if (knobs.twoFactorRequired) throw twoFactorRequired()
    if (key.allowedIps !== null && !key.allowedIps.includes(incoming.address)) {
      throw forbidden(`This IP address (${incoming.address}) does not have permission to access the API using these credentials.`)
    }
    count(owner.uuid, outcome.headers)
    const bound = bind(state, matched.parameters)
    if (!owner.rootAdmin) throw forbidden('This account does not have permission to access the API.')
    if (!may(key, matched.route.resource, matched.route.permission)) throw forbidden()
    const url = incoming.origin + incoming.path.replace(/\/$/, '')
    return matched.route.handle({ path: incoming.path, url, origin: incoming.origin, query: incoming.query, body, key, bound })
  }

  function count (owner: string, headers: Record<string, string>): void {
    const { limit, remaining, retryAfterMs } = limiter.hit(owner)
    headers['x-ratelimit-limit'] = String(limit)
    headers['x-ratelimit-remaining'] = String(remaining)
    if (retryAfterMs === undefined) return
    const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000))
    headers['retry-after'] = String(seconds)
    headers['x-ratelimit-reset'] = String(Math.floor(now() / 1000) + seconds)
    throw tooManyAttempts()
  }

  return { handle }
}

/** JSON that does not say it is JSON is not read. */
function bodyOf ({ contentType, text }: Incoming): Fields {
  if (text === '' || !/[/+]json/i.test(contentType ?? '')) return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw malformedJson()
  }
  return isFields(parsed) ? tidy(parsed) as Fields : {}
}

/** Texts are trimmed, but for passwords, and empty ones are null. */
function tidy (value: unknown, name = ''): unknown {
  if (typeof value === 'string') {
    const text = name === 'password' ? value : value.trim()
    return text === '' ? null : text
  }
  if (!isFields(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, tidy(one, key)]))
}
