/** Which route a request means, and which rows its path names. */
import { castToNumber } from './collation.ts'
import { notFound, noRoute, wrongMethod } from './errors.ts'
import type { Fields } from './json.ts'
import type { CommitKind } from './knobs.ts'
import type { ApiKey, Resource } from './keys.ts'
import type { Allocation, Egg, Nest, Node, Server, State, User } from './state.ts'

export interface Call {
  path: string
  /** Of this list, without a query: the panel's page links start with it. */
  url: string
  /** Where the panel is reached, without a slash at the end. */
  origin: string
  query: URLSearchParams
  body: Fields
  key: ApiKey
  bound: Bound
}

export interface Bound {
  user: User
  server: Server
  node: Node
  allocation: Allocation
  nest: Nest
  egg: Egg
  /** Parts of the path that are text. */
  text: string
}

export interface Answer { status: number, body?: unknown, committed?: CommitKind }

export interface Route {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  pattern: string
  resource: Resource
  permission: number
  handle: (call: Call) => Answer | Promise<Answer>
}

export interface Match { route: Route, parameters: Record<string, string> }

/** Throws the panel's 404 or 405: unknown routes are answered before anybody is asked for a key. */
export function match (routes: readonly Route[], method: string, path: string): Match {
  const relative = path.replace(/^\/api\/application/, '').replace(/\/$/, '')
  const fits = routes.flatMap(route => {
    const parameters = parametersOf(route.pattern, relative)
    return parameters === undefined ? [] : [{ route, parameters }]
  })
  const asked = method === 'HEAD' ? 'GET' : method
  const found = fits.find(({ route }) => route.method === asked)
  if (found !== undefined) return found
  const shown = path.replace(/^\//, '')
  if (fits.length === 0) throw noRoute(shown)
  const supported = new Set(fits.flatMap(({ route }) => route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]))
  throw wrongMethod(method, shown, [...supported])
}

// An encoded slash counts as a slash, so it never matches a single part.
function parametersOf (pattern: string, path: string): Record<string, string> | undefined {
  const names = pattern.split('/')
  const parts = path.split('/')
  const parameters: Record<string, string> = {}
  if (names.length !== parts.length) return undefined
  for (const [index, name] of names.entries()) {
    const part = decoded(parts[index]!)
    if (part === undefined || part.includes('/')) return undefined
    if (name.startsWith('{')) {
      if (part === '') return undefined
      parameters[name.slice(1, -1)] = part
    } else if (part !== name) return undefined
  }
  return parameters
}

function decoded (part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** Fetches the rows, a child only within its parent. Throws 404. */
export function bind (state: State, parameters: Record<string, string>): Bound {
  const bound: Partial<Bound> = { text: parameters.external ?? parameters.suffix ?? '' }
  const find = <Row>(rows: Map<number, Row>, text: string): Row => {
    const row = rows.get(castToNumber(text))
    if (row === undefined) throw notFound()
    return row
  }
  if (parameters.user !== undefined) bound.user = find(state.users, parameters.user)
  if (parameters.server !== undefined) bound.server = find(state.servers, parameters.server)
  if (parameters.node !== undefined) bound.node = find(state.nodes, parameters.node)
  if (parameters.nest !== undefined) bound.nest = find(state.nests, parameters.nest)
  if (parameters.allocation !== undefined) {
    bound.allocation = find(state.allocations, parameters.allocation)
    if (bound.allocation.nodeId !== bound.node?.id) throw notFound()
  }
  if (parameters.egg !== undefined) {
    bound.egg = find(state.eggs, parameters.egg)
    if (bound.egg.nestId !== bound.nest?.id) throw notFound()
  }
  return bound as Bound
}
