/** What tests and demos do behind the panel's back: knobs, accidents, and what happened. Also as HTTP under /__double/. */
import type { ServerResponse } from 'node:http'
import { badRequest, PanelError } from './errors.ts'
import { isFields } from './json.ts'
import { acl, apiKey } from './keys.ts'
import { turn } from './knobs.ts'
import { isPassword } from './passwords.ts'
import { match } from './routing.ts'
import type { Fields } from './json.ts'
import type { CommitKind, Knobs, WingsKnobs } from './knobs.ts'
import type { Incoming, Outcome } from './kernel.ts'
import type { Acl, ApiKey } from './keys.ts'
import type { RateLimiter } from './rate-limit.ts'
import type { ServerStatus, State } from './state.ts'
import type { Wings } from './wings.ts'
import type { WorkerPool } from './worker-pool.ts'

type WantedKnobs = Partial<Omit<Knobs, 'dropAfterCommit'>> & { dropAfterCommit?: Partial<Record<CommitKind, number>> }

export interface Summary {
  users: Array<{ id: number, username: string, email: string, externalId: string | null, rootAdmin: boolean }>
  servers: Array<{ id: number, uuid: string, name: string, externalId: string | null, status: ServerStatus, userId: number, nodeId: number, address: string, listens: boolean }>
  /** By route, e.g. `POST /servers`: how many, and how many of each status. Lost answers are counted with their status. */
  requests: Record<string, { total: number, statuses: Record<string, number> }>
  tooManyRequests: number
  serverCreates: number
  workers: { size: number, busy: number, queued: number }
  /** What Wings still has although no row of the panel names it. */
  orphans: string[]
}

export interface Admin {
  state: () => Summary
  setKnobs: (knobs: WantedKnobs) => void
  /** For one node, or for all. */
  setWings: (knobs: Partial<WingsKnobs>, nodeId?: number) => void
  knobs: () => { panel: Knobs, wings: Record<number, WingsKnobs> }
  login: (name: string, password: string) => boolean
  wingsRestart: (nodeId: number) => void
  /** An administrator deletes the server by hand: row and container. */
  removeServer: (id: number) => boolean
  /** Only the container; the panel's row stays. */
  removeContainer: (uuid: string) => boolean
  setTransfer: (id: number, isTransferring: boolean) => boolean
  power: (id: number, signal: 'start' | 'stop') => boolean
  installFinished: (id: number, isSuccessful: boolean, isReinstall?: boolean) => boolean
  /** An administrator makes or deletes an application key of the first administrator, with all rights but those given otherwise. Forgotten at a restart. */
  addKey: (key: string, rights?: Partial<Acl>) => void
  removeKey: (key: string) => boolean
  resetRateLimit: () => void
  resetCounters: () => void
}

interface AdminContext { state: State, knobs: Knobs, wings: Wings, workers: WorkerPool, limiter: RateLimiter, keys: Map<string, ApiKey> }

export function createAdmin ({ state, knobs, wings, workers, limiter, keys }: AdminContext) {
  const requests: Summary['requests'] = {}

  const actions: Admin = {
    state: () => ({
      users: [...state.users.values()].map(({ id, username, email, externalId, rootAdmin }) => ({ id, username, email, externalId, rootAdmin })),
      servers: [...state.servers.values()].map(({ id, uuid, name, externalId, status, ownerId, nodeId, allocationId }) => {
        const { ip, port } = state.allocations.get(allocationId)!
        return { id, uuid, name, externalId, status, userId: ownerId, nodeId, address: `${ip}:${port}`, listens: wings.listeners.has(uuid) }
      }),
      requests: structuredClone(requests),
      tooManyRequests: Object.values(requests).reduce((sum, { statuses }) => sum + (statuses['429'] ?? 0), 0),
      serverCreates: requests['POST /servers']?.total ?? 0,
      workers: { size: knobs.workers, busy: workers.busy, queued: workers.queued },
      orphans: [...state.containers.keys()].filter(uuid => state.serverBy(server => server.uuid === uuid) === undefined)
    }),
    setKnobs (wanted) {
      turn(knobs, wanted)
      workers.wake()
    },
    setWings (wanted, nodeId) {
      for (const [id, node] of wings.nodes) if (nodeId === undefined || nodeId === id) turn(node, wanted)
    },
    knobs: () => structuredClone({ panel: knobs, wings: Object.fromEntries(wings.nodes) }),
    login (name, password) {
      const wanted = name.toLowerCase()
      const user = state.userBy(one => one.username === wanted || one.email.toLowerCase() === wanted)
      return user !== undefined && isPassword(user.passwordHash, password)
    },
    wingsRestart: nodeId => { wings.restarted(nodeId) },
    removeServer (id) {
      const server = state.servers.get(id)
      if (server === undefined) return false
      wings.remove(server.uuid)
      state.deleteServer(id)
      state.commit()
      return true
    },
    removeContainer: uuid => wings.remove(uuid),
    setTransfer (id, isTransferring) {
      const server = state.servers.get(id)
      if (server !== undefined) server.isTransferring = isTransferring
      state.commit()
      return server !== undefined
    },
    power: (id, signal) => wings.power(state.servers.get(id)?.uuid ?? '', signal),
    installFinished: (id, isSuccessful, isReinstall = false) => wings.installFinished(state.servers.get(id)?.uuid ?? '', isSuccessful, isReinstall),
    addKey: (key, rights = {}) => { keys.set(key, apiKey(key, 1, acl(3, rights))) },
    removeKey: key => keys.delete(key),
    resetRateLimit: () => { limiter.reset() },
    resetCounters: () => { for (const route of Object.keys(requests)) delete requests[route] }
  }

  function perform (name: string, body: Fields): unknown {
    const id = Number(body.id)
    switch (name) {
      case 'wings-restart': return actions.wingsRestart(Number(body.node))
      case 'remove-server': return actions.removeServer(id)
      case 'remove-container': return actions.removeContainer(String(body.uuid))
      case 'transfer': return actions.setTransfer(id, body.transferring !== false)
      case 'power': return actions.power(id, body.signal === 'stop' ? 'stop' : 'start')
      case 'install-finished': return actions.installFinished(id, body.successful === true, body.reinstall === true)
      case 'add-key': return actions.addKey(String(body.key), isFields(body.rights) ? body.rights as Partial<Acl> : {})
      case 'remove-key': return actions.removeKey(String(body.key))
      case 'reset-rate-limit': return actions.resetRateLimit()
      case 'reset-counters': return actions.resetCounters()
      case 'login': return { accepted: actions.login(String(body.username ?? body.email), String(body.password)) }
      default: throw new Error('PANEL_DOUBLE_ACTION_UNKNOWN')
    }
  }

  return {
    actions,

    /** GET state|knobs, PUT knobs `{panel?, wings?: {"<node>"|"*": …}}`, POST `<action>`. 400 with a code if it cannot be done. */
    serve (method: string, path: string, text: string, response: ServerResponse): void {
      const name = path.slice('/__double/'.length)
      const answer = (status: number, body: unknown) => { response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)) }
      try {
        const parsed: unknown = text === '' ? {} : JSON.parse(text)
        if (!isFields(parsed)) throw new Error('PANEL_DOUBLE_BODY_INVALID')
        if (method === 'GET' && name === 'state') return answer(200, actions.state())
        if (method === 'PUT' && name === 'knobs') {
          if (parsed.panel !== undefined) actions.setKnobs(parsed.panel as WantedKnobs)
          for (const [node, wanted] of Object.entries(isFields(parsed.wings) ? parsed.wings : {})) {
            actions.setWings(wanted as Partial<WingsKnobs>, node === '*' ? undefined : Number(node))
          }
          return answer(200, actions.knobs())
        }
        if (method === 'GET' && name === 'knobs') return answer(200, actions.knobs())
        if (method !== 'POST') return answer(405, { error: 'PANEL_DOUBLE_METHOD_UNKNOWN' })
        const done = perform(name, parsed)
        if (done === false) return answer(404, { error: 'PANEL_DOUBLE_NOT_FOUND' })
        answer(200, isFields(done) ? done : { done: true })
      } catch (error) {
        answer(400, { error: error instanceof SyntaxError ? 'PANEL_DOUBLE_BODY_INVALID' : (error as Error).message })
      }
    },

    /** The web server's own error, if one is set for this request. */
    intercept ({ method, path }: Incoming): Outcome | undefined {
      const fault = knobs.answerNext.find(({ route, times }) => times > 0 && (route === '*' || isRoute(route, method, path)))
      if (fault === undefined) return undefined
      fault.times--
      const error = new PanelError(fault.status, badRequest('').entries.map(entry => ({ ...entry, code: 'HttpException', status: String(fault.status), detail: 'A fault of the double.' })))
      return { status: fault.status, error, headers: {}, route: fault.route }
    },

    count ({ route, status }: Outcome): void {
      const counter = requests[route] ??= { total: 0, statuses: {} }
      counter.total++
      counter.statuses[status] = (counter.statuses[status] ?? 0) + 1
    },

    isAnswerLost (kind: CommitKind): boolean {
      if (knobs.dropAfterCommit[kind] === 0) return false
      knobs.dropAfterCommit[kind]--
      return true
    }
  }
}

function isRoute (route: string, method: string, path: string): boolean {
  const [wantedMethod = '', pattern = ''] = route.split(' ')
  if (wantedMethod !== method) return false
  try {
    match([{ method: 'GET', pattern, resource: 'users', permission: 0, handle: () => ({ status: 200 }) }], 'GET', path)
    return true
  } catch {
    return false
  }
}
