/**
 * The panel the contract suite asks: the one at PANEL_URL, or a double of its own. What the suite makes carries a prefix
 * and is removed at the end, so it may be run against a panel in use; it needs free allocations there, and a node whose
 * Wings answers. What cannot be driven from outside on a real panel is left out with a comment; on the double nothing is.
 *
 *   PANEL_URL PANEL_KEY          a full application key of an administrator
 *   PANEL_READ_KEY PANEL_NO_KEY  application keys of the same owner with read everywhere, and with nothing
 *   PANEL_ACCOUNT_KEY            an account key of the same owner
 *   PANEL_PLAIN_KEY              an application key of somebody who is no administrator
 *   PANEL_OTHER_KEY              an application key of another administrator
 *   PANEL_NODE PANEL_NODE_TOKEN  the node to use, and its daemon's `<token_id>.<token>` (then call-backs can be played)
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { startPanel } from '../panel.ts'
import type { Panel, PanelOptions } from '../panel.ts'

// eslint-disable-next-line typescript/no-explicit-any -- answers are what is under test
export interface Attributes { [name: string]: any }
export interface PanelAnswer {
  status: number
  headers: Headers
  text: string
  /** Undefined if the body is not JSON. */
  json: Attributes | undefined
  attributes: Attributes
  errors: Array<{ code: string, status: string, detail: string, meta?: Attributes }>
}

export interface CallOptions {
  /** null sends no key. */
  key?: string | null
  accept?: string
  contentType?: string
  /** Sent as it is instead of JSON. */
  raw?: string
  signal?: AbortSignal
  /** The test is about 429, so do not wait. */
  isThrottled?: boolean
}

export interface PanelUnderTest {
  url: string
  prefix: string
  double: Panel | undefined
  keys: Partial<Record<'read' | 'none' | 'account' | 'plainUser' | 'otherAdmin', string>>
  nodeId: number
  egg: Attributes
  call: (method: string, path: string, body?: unknown, options?: CallOptions) => Promise<PanelAnswer>
  name: () => string
  userBody: (special?: Attributes) => Attributes
  makeUser: (special?: Attributes) => Promise<Attributes>
  freeAllocations: () => Promise<Attributes[]>
  /** A body on a free allocation that no other body of this run was given. */
  serverBody: (special?: Attributes) => Promise<Attributes>
  makeServer: (special?: Attributes) => Promise<Attributes>
  /** Wings' call-back at the end of an install. False if it cannot be played here. */
  installFinished: (uuid: string, successful: boolean, reinstall?: boolean) => Promise<boolean>
}

const RETRIES_MAX = 3

export async function panelUnderTest (t: Test, options: PanelOptions = {}): Promise<PanelUnderTest> {
  const { env } = process
  const double = env.PANEL_URL === undefined
    ? await startPanel({ ...options, knobs: { rateLimit: 100_000, guzzleTimeoutMs: 300, ...options.knobs }, wings: { install: 'never', ...options.wings } })
    : undefined
  const url = (double?.url ?? env.PANEL_URL!).replace(/\/$/, '')
  const key = double?.applicationKey ?? env.PANEL_KEY ?? ''
  const keys: PanelUnderTest['keys'] = double?.keys ?? definite({
    read: env.PANEL_READ_KEY, none: env.PANEL_NO_KEY, account: env.PANEL_ACCOUNT_KEY, plainUser: env.PANEL_PLAIN_KEY, otherAdmin: env.PANEL_OTHER_KEY
  })
  const prefix = `contract-${randomBytes(3).toString('hex')}`
  let names = 0
  const name = () => `${prefix}-${++names}`

  async function call (method: string, path: string, body?: unknown, { key: other, accept = 'application/json', contentType = 'application/json', raw, signal, isThrottled = false }: CallOptions = {}): Promise<PanelAnswer> {
    for (let tries = 1; ; tries++) {
      const text = raw ?? (body === undefined ? undefined : JSON.stringify(body))
      const response = await fetch(`${url}/api/application${path}`, {
        method,
        redirect: 'manual',
        headers: {
          accept,
          ...other === null ? {} : { authorization: `Bearer ${other ?? key}` },
          ...text === undefined ? {} : { 'content-type': contentType }
        },
        ...text === undefined ? {} : { body: text },
        ...signal === undefined ? {} : { signal }
      })
      const answer = await read(response)
      if (answer.status !== 429 || isThrottled || tries === RETRIES_MAX) return answer
      await sleep(Number(answer.headers.get('retry-after')) * 1000)
    }
  }

  const nodeId = Number(env.PANEL_NODE ?? 1)
  const egg = (await findEgg(call))!
  const used = new Set<number>()

  const under: PanelUnderTest = {
    url, prefix, double, keys, nodeId, egg, call, name,
    userBody (special = {}) {
      const own = name()
      return { email: `${own}@example.invalid`, username: own, first_name: 'Contract', last_name: 'Suite', external_id: `${own}@s.whatsapp.net`, password: 'not-a-secret-1', ...special }
    },
    async makeUser (special) {
      const { status, attributes, text } = await call('POST', '/users', under.userBody(special))
      if (status !== 201) throw new Error(`user not made: ${status} ${text.slice(0, 300)}`)
      return attributes
    },
    async freeAllocations () {
      const { json } = await call('GET', `/nodes/${nodeId}/allocations?filter[server_id]=0&per_page=100`)
      return json!.data.map((item: Attributes) => item.attributes)
    },
    async serverBody (special = {}) {
      const { user = (await under.makeUser()).id, ...rest } = special
      const allocation = (await under.freeAllocations()).find(({ id }) => !used.has(id))
      if (allocation === undefined) throw new Error('no free allocation')
      used.add(allocation.id)
      return {
        external_id: name(), name: name(), user, egg: egg.id, docker_image: egg.docker_image, startup: egg.startup, environment: defaultsOf(egg),
        limits: { memory: 512, swap: 0, disk: 1024, io: 500, cpu: 100 }, feature_limits: { databases: 0, allocations: 1, backups: 0 },
        allocation: { default: allocation.id }, start_on_completion: false, ...rest
      }
    },
    async makeServer (special) {
      const { status, attributes, text } = await call('POST', '/servers', await under.serverBody(special))
      if (status !== 201) throw new Error(`server not made: ${status} ${text.slice(0, 300)}`)
      return attributes
    },
    async installFinished (uuid, successful, reinstall = false) {
      const token = double?.nodeToken(nodeId) ?? env.PANEL_NODE_TOKEN
      if (token === undefined) return false
      const response = await fetch(`${url}/api/remote/servers/${uuid}/install`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/vnd.pterodactyl.v1+json' },
        body: JSON.stringify({ successful, reinstall })
      })
      return response.status === 204
    }
  }

  t.teardown(async () => {
    const servers = await call('GET', `/servers?filter[name]=${prefix}&per_page=100&sort=id`)
    for (const { attributes } of servers.json?.data ?? []) await call('DELETE', `/servers/${attributes.id}`)
    const users = await call('GET', `/users?filter[email]=${prefix}&per_page=100&sort=id`)
    for (const { attributes } of users.json?.data ?? []) await call('DELETE', `/users/${attributes.id}`)
    await double?.close()
  })
  return under
}

async function read (response: Response): Promise<PanelAnswer> {
  const text = await response.text()
  let json: Attributes | undefined
  try {
    json = JSON.parse(text) as Attributes
  } catch {}
  return { status: response.status, headers: response.headers, text, json, attributes: json?.attributes ?? {}, errors: json?.errors ?? [] }
}

// Paper comes with every panel, and has required, nullable, bounded and patterned variables.
async function findEgg (call: PanelUnderTest['call']): Promise<Attributes | undefined> {
  const nests = await call('GET', '/nests?per_page=100')
  for (const nest of nests.json?.data ?? []) {
    const eggs = await call('GET', `/nests/${nest.attributes.id}/eggs?include=variables`)
    const found = eggs.json?.data.find((item: Attributes) => item.attributes.name === 'Paper')
    if (found !== undefined) return found.attributes
  }
  throw new Error('the panel has no egg called Paper')
}

const variablesOf = (egg: Attributes): Attributes[] => egg.relationships.variables.data.map((item: Attributes) => item.attributes)
const defaultsOf = (egg: Attributes) => Object.fromEntries(variablesOf(egg).map(({ env_variable, default_value }) => [env_variable, default_value]))

const definite = <T extends object>(all: T) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: NonNullable<T[K]> }

/** One line per error, as the evidence writes them: code, status, text, field and rule. */
export const told = ({ errors }: PanelAnswer) =>
  errors.map(({ code, status, detail, meta }) => [code, status, detail, meta?.source_field, meta?.rule].filter(part => part !== undefined))

export const fieldsAndRules = ({ errors }: PanelAnswer) => errors.map(({ meta }) => `${meta?.source_field} ${meta?.rule}`)
export const idsOf = ({ json }: PanelAnswer): number[] => json?.data.map((item: Attributes) => item.attributes.id)
export const without = (body: Attributes, ...names: string[]) => Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)))

export const notFound = [['NotFoundHttpException', '404', 'The requested resource could not be found on the server.']]
export const unauthorized = [['AccessDeniedHttpException', '403', 'This action is unauthorized.']]
export const unreachable = [['DaemonConnectionException', '504', 'Could not establish a connection to the machine running this server. Please try again.']]
export const unexpected = (code: string) => [[code, '500', 'An unexpected error was encountered while processing this request, please try again.']]
export const failed = (field: string, rule: string, detail: string) => ['ValidationException', '422', detail, field, rule]
