/**
 * A double of the Pterodactyl panel 1.11.8: its Application API on node:http, its nodes as a model, and the ports of
 * the servers it "runs" as real listeners. What it answers is held to what a real panel answered; see README.md.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdmin } from './admin.ts'
import { createKernel } from './kernel.ts'
import { createResponder } from './respond.ts'
import { createRateLimiter } from './rate-limit.ts'
import { createTransformers } from './transformers.ts'
import { createWings } from './wings.ts'
import { createWorkerPool } from './worker-pool.ts'
import { acl, apiKey, newKey } from './keys.ts'
import { defaultKnobs, turn } from './knobs.ts'
import { hashPassword, randomPassword } from './passwords.ts'
import { page } from './page.ts'
import { pause } from './pause.ts'
import { seed } from './seeds.ts'
import { State } from './state.ts'
import type { Admin } from './admin.ts'
import type { Knobs, WingsKnobs } from './knobs.ts'
import type { NodeSeed } from './seeds.ts'

export interface PanelOptions {
  /** 0, the default, takes any free port. */
  port?: number
  host?: string
  /** A full application key of the first administrator: `ptla_` and 43 letters or digits. Default: a random one, also after a restart. */
  applicationKey?: string
  nodes?: readonly NodeSeed[]
  /** Users, servers, allocations and containers survive a restart here. */
  stateFile?: string
  /** What a restart with a state file was: of the panel alone (its nodes worked on), or of the nodes too. */
  restartOf?: 'panel' | 'machine'
  knobs?: Partial<Knobs>
  /** For every node. */
  wings?: Partial<WingsKnobs>
  log?: (line: string) => void
}

/** All keys but `plainUser` belong to administrators; the first four and `account` share one owner and rate limit. */
export interface PanelKeys {
  application: string
  read: string
  /** May read users, but not servers. */
  usersOnly: string
  none: string
  account: string
  otherAdmin: string
  plainUser: string
}

export interface Panel extends Admin {
  url: string
  applicationKey: string
  keys: PanelKeys
  /** Wings' bearer token of a node, as `<token_id>.<token>`. */
  nodeToken: (nodeId: number) => string
  close: () => Promise<void>
}

const BODY_BYTES_MAX = 1024 * 1024

export async function startPanel (options: PanelOptions = {}): Promise<Panel> {
  const log = options.log ?? (() => {})
  const state = new State(options.stateFile)
  seedAdministrators(state)
  // After a restart the ports are where they were.
  seed(state, options.nodes ?? defaultNodes(state.allocations.values().next().value?.ip))
  state.commit()

  const knobs = defaultKnobs()
  turn(knobs, options.knobs ?? {})
  const keys: PanelKeys = {
    application: options.applicationKey ?? newKey('ptla_'),
    read: newKey('ptla_'),
    usersOnly: newKey('ptla_'),
    none: newKey('ptla_'),
    account: newKey('ptlc_'),
    otherAdmin: newKey('ptla_'),
    plainUser: newKey('ptla_')
  }
  const rights = new Map([
    [keys.application, apiKey(keys.application, 1, acl(3))], [keys.read, apiKey(keys.read, 1, acl(1))], [keys.usersOnly, apiKey(keys.usersOnly, 1, acl(0, { users: 3 }))],
    [keys.none, apiKey(keys.none, 1, acl(0))], [keys.account, apiKey(keys.account, 1, acl(0))], [keys.otherAdmin, apiKey(keys.otherAdmin, 2, acl(3))],
    [keys.plainUser, apiKey(keys.plainUser, 3, acl(3))]
  ])

  const workers = createWorkerPool(() => knobs.workers)
  const wings = createWings({ state, knobs, workers, log, ...options.wings === undefined ? {} : { wings: options.wings } })
  const limiter = createRateLimiter(() => ({ hitsMax: knobs.rateLimit, windowMs: knobs.rateWindowMs }), Date.now)
  const kernel = createKernel({ state, knobs, wings, transform: createTransformers(state) }, { [Symbol.iterator]: () => rights.values() }, limiter, Date.now)
  const admin = createAdmin({ state, knobs, wings, workers, limiter, keys: rights })
  const respond = createResponder(knobs)
  if (options.stateFile !== undefined) await wings.resume(options.restartOf ?? 'panel')

  async function serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await bodyText(request)
    if (text === undefined) return void response.writeHead(413).end()
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://panel')
    if (pathname === '/') return void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(state, wings))
    if (pathname.startsWith('/__double/')) return admin.serve(request.method ?? '', pathname, text, response)

    const release = await workers.acquire()
    try {
      await pause(knobs.latencyMs)
      const origin = `http://${request.headers.host ?? new URL(url).host}`
      const incoming = {
        method: request.method ?? 'GET', path: pathname, query: searchParams, origin, text,
        authorization: request.headers.authorization, contentType: request.headers['content-type'],
        address: request.socket.remoteAddress ?? ''
      }
      const outcome = admin.intercept(incoming) ?? await kernel.handle(incoming)
      admin.count(outcome)
      if (outcome.committed !== undefined && admin.isAnswerLost(outcome.committed)) request.socket.destroy()
      else respond(request, response, outcome, origin)
    } finally {
      release()
    }
  }

  const http = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      log(`request failed: ${error instanceof Error ? error.stack : 'unknown'}`)
      if (!response.headersSent) response.writeHead(500)
      response.end()
    })
  })
  http.maxConnections = 1024
  http.listen(options.port ?? 0, options.host ?? '127.0.0.1')
  await once(http, 'listening')
  const { address, port } = http.address() as AddressInfo
  const url = `http://${address}:${port}`

  return {
    ...admin.actions,
    url,
    applicationKey: keys.application,
    keys,
    nodeToken (nodeId) {
      const node = state.nodes.get(nodeId)!
      return `${node.tokenId}.${node.token}`
    },
    async close () {
      wings.close()
      const closed = once(http, 'close')
      http.close()
      http.closeAllConnections()
      await closed
    }
  }
}

/**
 * Two nodes on a loopback address of this process alone, so that tests in parallel cannot take one another's servers
 * for their own. Linux listens on all of 127.0.0.0/8.
 */
export function defaultNodes (ip = loopbackOfThisProcess()): NodeSeed[] {
  return [{ name: 'node1', ip, ports: [20100, 20149] }, { name: 'node2', ip, ports: [20150, 20199] }]
}

let panels = 0
const loopbackOfThisProcess = () => `127.${64 + (panels++ % 64)}.${process.pid >> 8 & 255}.${Math.max(1, process.pid & 255)}`

/** Two root administrators and one user who is none. Their passwords are random and nobody's. */
function seedAdministrators (state: State): void {
  for (const [username, rootAdmin] of [['admin', true], ['second-admin', true], ['plain-user', false]] as const) {
    if (state.userBy(user => user.username === username) !== undefined) continue
    const id = state.nextId('users')
    state.users.set(id, {
      id, externalId: null, uuid: state.newUuid(), username, email: `${username}@panel.example.invalid`, firstName: 'Panel', lastName: 'User',
      language: 'en', rootAdmin, passwordHash: hashPassword(randomPassword()), createdAt: Date.now(), updatedAt: Date.now()
    })
  }
}

/** Undefined if the body is too large. */
async function bodyText (request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
