// The panel's Application API in our words. Nothing else holds the panel key. `ensure…` may be called again at any time: what makes a
// user or a server unique on the panel (e-mail and external id) makes the second call find what the first one made.
import { Type, type Static, type TSchema } from 'typebox'
import { PanelId } from '../../contracts/ids.ts'
import { validatorOf } from '../common/envelope.ts'
import { permanent, transient } from '../common/fault.ts'
import type { TemplateDefinition } from '../common/templates.ts'
import type { Owned } from './deletion-looks.ts'
import { isConflict, isOurs, usernamesOf, type Account, type Identity } from './identity.ts'
import type { Lane } from './panel-budget.ts'
import { externalId, panelId, type Call, type PanelClient } from './panel-client.ts'
import { codeOfAnswer, createOutcomeOf, failsBy, faultOf, isGone, type Answer, type CreateOutcome, type Lost } from './panel-fault.ts'

export interface PanelServer {
  readonly id: number
  readonly uuid: string
  readonly identifier: string
  readonly status: string | null
  readonly externalId: string | null
  readonly userId: number
  readonly eggId: number
  readonly nodeId: number
  /** Undefined where the panel did not include it. */
  readonly allocation: { readonly id: number, readonly ip: string, readonly alias: string | null, readonly port: number } | undefined
}

export interface PanelNode {
  readonly id: number
  readonly fqdn: string
  readonly isInMaintenance: boolean
  readonly allocations: ReadonlyArray<{ readonly id: number, readonly ip: string, readonly alias: string | null, readonly port: number, readonly assigned: boolean }>
}

export interface EggVariable { readonly name: string, readonly rules: string }
export interface Egg { readonly name: string, readonly images: readonly string[], readonly variables: readonly EggVariable[] }

export interface ServerSpec {
  readonly claimId: string
  readonly name: string
  readonly userId: number
  readonly template: TemplateDefinition
  readonly environment: Readonly<Record<string, string>>
  readonly allocationId: number
}

/** Runs when the question goes out, again where it is repeated: what is answered is at least as new. Where there are several questions, with the first. */
type OnSend = () => Promise<void>

export interface Pterodactyl {
  /** The member's account. `isPasswordSet`: it was made by this call, with this password. Permanent Fault IDENTITY_CONFLICT, PANEL_REFUSED. */
  ensureUser (identity: Identity, username: string, password: string, signal: AbortSignal): Promise<{ user: Account, isPasswordSet: boolean }>
  /** The account by external id, then by address; null where there is none of ours. Permanent Fault IDENTITY_CONFLICT. */
  findUser (identity: Identity, lane: Lane, signal: AbortSignal, onSend?: OnSend): Promise<Account | null>
  user (id: number, lane: Lane, signal: AbortSignal, onSend?: OnSend): Promise<Account | null>
  /** Everything else of the account stays as it is on the panel. `beforeSend` runs when the call has its turn; what it throws cancels the call. Transient Fault ACCOUNT_VANISHED. */
  setPassword (user: Account, password: string, lane: Lane, signal: AbortSignal, claim?: Identity, beforeSend?: () => Promise<void>): Promise<void>
  /** Everything else of the account stays as it is on the panel. For scripts/rekey-members. */
  setEmail (user: Account, email: string, lane: Lane, signal: AbortSignal): Promise<void>
  /** `kept`: the panel says that it still owns servers. `beforeSend` runs when the call has its turn; what it throws cancels the call. */
  deleteUser (id: number, signal: AbortSignal, beforeSend?: () => Promise<void>): Promise<'gone' | 'kept'>
  /** Throws only where the create was certainly not carried out. `beforeSend` runs when it has its turn. */
  createServer (spec: ServerSpec, beforeSend: () => Promise<void>, signal: AbortSignal): Promise<{ outcome: CreateOutcome, server?: PanelServer, reason?: Error }>
  serverOfClaim (claimId: string, lane: Lane, signal: AbortSignal, onSend?: OnSend): Promise<PanelServer | null>
  server (id: number, lane: Lane, signal: AbortSignal, onSend?: OnSend): Promise<PanelServer | null>
  /** The servers of these claims, by claim, in one call. At most 100 claims. A server that it does not show may exist all the same: what contains an id of ours is listed, too. */
  serversOfClaims (claimIds: readonly string[], lane: Lane, signal: AbortSignal, onSend?: OnSend): Promise<Map<string, Owned>>
  /** All of the panel's, whoever made them, or a Fault: never a part. Transient Fault LIST_TOO_LONG beyond 20,000. */
  servers (signal: AbortSignal): Promise<PanelServer[]>
  users (signal: AbortSignal): Promise<Account[]>
  /** The statuses of those that exist. At most 100. */
  statuses (uuids: readonly string[], signal: AbortSignal): Promise<Map<string, string | null>>
  /** Resolves when the panel no longer has it. Transient Fault where the node or the panel does not answer: the server then stands as before. */
  deleteServer (id: number, signal: AbortSignal, beforeSend?: () => Promise<void>): Promise<void>
  node (id: number, lane: Lane, signal: AbortSignal): Promise<PanelNode | null>
  egg (nest: number, egg: number, signal: AbortSignal): Promise<Egg | null>
  close (): Promise<void>
}

const Text = Type.String()
const NullableText = Type.Union([Text, Type.Null()])
const item = <Schema extends TSchema>(attributes: Schema) => Type.Object({ attributes })
const list = <Schema extends TSchema>(attributes: Schema) => Type.Object({ data: Type.Array(item(attributes)) })

const UserAttributes = Type.Object({ id: PanelId, external_id: NullableText, username: Text, email: Text, first_name: Text, last_name: Text, root_admin: Type.Boolean() })
const AllocationAttributes = Type.Object({ id: PanelId, ip: Text, alias: NullableText, port: Type.Integer(), assigned: Type.Boolean() })
const ServerAttributes = Type.Object({
  id: PanelId, uuid: Type.String({ pattern: '^[0-9a-f-]{36}$' }), identifier: Text, status: NullableText, external_id: NullableText, user: PanelId, egg: PanelId, node: PanelId, allocation: PanelId,
  // Whose right is missing is shown as null.
  relationships: Type.Optional(Type.Object({ allocations: Type.Optional(list(AllocationAttributes)), user: Type.Optional(Type.Object({ attributes: Type.Union([UserAttributes, Type.Null()]) })) })),
})
const NodeAttributes = Type.Object({ id: PanelId, fqdn: Text, maintenance_mode: Type.Boolean(), relationships: Type.Object({ allocations: list(AllocationAttributes) }) })
const EggAttributes = Type.Object({
  name: Text, docker_images: Type.Record(Text, Text),
  relationships: Type.Object({ variables: list(Type.Object({ env_variable: Text, rules: Text })) }),
})
const UserItem = item(UserAttributes)
const paged = <Schema extends TSchema>(attributes: Schema) => Type.Object({ ...list(attributes).properties, meta: Type.Object({ pagination: Type.Object({ total: Type.Integer(), total_pages: Type.Integer() }) }) })
const UserList = paged(UserAttributes)
const ServerPage = paged(ServerAttributes)
const ServerItem = item(ServerAttributes)
const ServerList = list(ServerAttributes)
const NodeItem = item(NodeAttributes)
const EggItem = item(EggAttributes)

const PAGE = '100'
const PAGES_MAX = 20
const LIST_PAGES_MAX = 200
const LIST_TRIES_MAX = 3

export function createPterodactyl (client: PanelClient): Pterodactyl {
  const get = async <Schema extends TSchema>(schema: Schema, call: Omit<Call, 'method'>): Promise<Static<Schema> | null> => {
    const answer = await client.send({ method: 'GET', ...call })
    if (answer.kind === 'answer' && isGone(answer)) return null
    if (answer.kind === 'lost' || answer.status !== 200) throw faultOf(answer)
    return read(schema, answer)
  }

  async function createUser (identity: Identity, username: string, password: string, signal: AbortSignal): Promise<Answer | Lost> {
    return await client.send({
      method: 'POST', route: '/users', path: '/users', lane: 'create', signal,
      body: { email: identity.email, username, first_name: username, last_name: 'Klaim', external_id: identity.waJid, password, root_admin: false },
    })
  }

  async function usersByEmail (email: string, lane: Lane, signal: AbortSignal): Promise<Account[]> {
    const found: Account[] = []
    for (let page = 1, pages = 1; page <= pages && page <= PAGES_MAX; page++) {
      const users = await get(UserList, { route: '/users', path: '/users', query: { 'filter[email]': email, sort: 'id', per_page: PAGE, page: String(page) }, lane, signal })
      // The filter finds every address that contains ours.
      found.push(...(users?.data ?? []).map(({ attributes }) => attributes).filter((user) => user.email === email))
      pages = users?.meta.pagination.total_pages ?? 0
    }
    return found
  }

  /** Rows move up a page when one before them goes, so what changes while it is read is read again. */
  async function everything<Schema extends typeof UserList | typeof ServerPage> (schema: Schema, route: '/users' | '/servers', signal: AbortSignal): Promise<Static<Schema>['data']> {
    for (let tries = 0; tries < LIST_TRIES_MAX; tries++) {
      const found = new Map<number, Static<Schema>['data'][number]>()
      const totals = new Set<number>()
      for (let page = 1, pages = 1; page <= pages; page++) {
        if (page > LIST_PAGES_MAX) throw transient('LIST_TOO_LONG', 'the panel has more than is compared')
        const part = await get(schema, { route, path: route, query: { sort: 'id', per_page: PAGE, page: String(page) }, lane: 'poll', signal }) as Static<Schema> | null
        if (!part) throw transient('PANEL_DOWN', 'the panel has no such list')
        for (const row of part.data) found.set(row.attributes.id, row)
        totals.add(part.meta.pagination.total)
        pages = part.meta.pagination.total_pages
      }
      if (totals.size === 1 && totals.has(found.size)) return [...found.values()] as Static<Schema>['data']
    }
    throw transient('PANEL_BUSY', 'the panel changes faster than it can be read')
  }

  async function findUser (identity: Identity, lane: Lane, signal: AbortSignal, onSend?: OnSend): Promise<Account | null> {
    const named = (await get(UserItem, { route: '/users/external/{external_id}', path: `/users/external/${externalId(identity.waJid)}`, lane, signal, ...before(onSend) }))?.attributes ?? null
    if (named && isOurs(named, identity) && named.email === identity.email) return named
    const addressed = await usersByEmail(identity.email, lane, signal)
    const ours = addressed.find((user) => isOurs(user, identity)) ?? (named && isOurs(named, identity) ? named : null)
    if (ours) return ours
    if ([...addressed, ...(named ? [named] : [])].some((user) => isConflict(user, identity))) throw permanent('IDENTITY_CONFLICT', "another account holds the member's address or external id")
    return null
  }

  async function getServer (call: Omit<Call, 'method' | 'query'>): Promise<PanelServer | null> {
    const server = await get(ServerItem, { ...call, query: { include: 'allocations' } })
    return server && serverOf(server.attributes)
  }

  return {
    findUser,
    ensureUser: async (identity, username, password, signal) => {
      for (const name of usernamesOf(username, identity.memberId)) {
        const answer = await createUser(identity, name, password, signal)
        if (answer.kind === 'answer' && answer.status === 201) return { user: read(UserItem, answer).attributes, isPasswordSet: true }
        const isRefused = answer.kind === 'answer' && answer.status >= 400 && answer.status < 500
        const isUnique = answer.kind === 'answer' && ['email', 'external_id', 'username'].some((field) => failsBy(answer, field, 'unique'))
        if (isRefused && !isUnique) throw faultOf(answer)
        const isNameOnly = isUnique && answer.errors.every(({ field, rule }) => field === 'username' && rule === 'unique')
        // A 5xx says nothing about whether the account exists: a mail that cannot be queued comes after the commit (panel pull request 5119).
        const user = isNameOnly ? null : await findUser(identity, 'create', signal)
        if (user) return { user, isPasswordSet: false }
        if (!isNameOnly && !isUnique) throw faultOf(answer)
        if (!isNameOnly) throw transient('PANEL_DOWN', 'the account is said to exist and is not found')
      }
      throw permanent('IDENTITY_CONFLICT', 'the user name is taken in every form')
    },
    user: async (id, lane, signal, onSend) => (await get(UserItem, { route: '/users/{id}', path: `/users/${panelId(id)}`, lane, signal, ...before(onSend) }))?.attributes ?? null,
    setEmail: async ({ id, username, first_name, last_name }, email, lane, signal) => {
      // Without an external id and a password the panel keeps both.
      const answer = await client.send({ method: 'PATCH', route: '/users/{id}', path: `/users/${panelId(id)}`, lane, signal, body: { email, username, first_name, last_name } })
      if (answer.kind === 'lost' || answer.status !== 200) throw faultOf(answer)
    },
    setPassword: async (user, password, lane, signal, claim, beforeSend) => {
      const { id, email, username, first_name, last_name } = user
      const answer = await client.send({
        method: 'PATCH', route: '/users/{id}', path: `/users/${panelId(id)}`, lane, signal, ...before(beforeSend),
        // The panel wants all of these again, and would clear an external id that is sent empty.
        body: { email, username, first_name, last_name, password, ...(claim === undefined ? {} : { external_id: claim.waJid }) },
      })
      if (answer.kind === 'answer' && isGone(answer)) throw transient('ACCOUNT_VANISHED', 'the account is not there any more')
      if (answer.kind === 'lost' || answer.status !== 200) throw faultOf(answer)
    },
    deleteUser: async (id, signal, beforeSend) => {
      const answer = await client.send({ method: 'DELETE', route: '/users/{id}', path: `/users/${panelId(id)}`, lane: 'delete', signal, ...before(beforeSend) })
      if (answer.kind === 'answer' && (answer.status === 204 || isGone(answer))) return 'gone'
      if (answer.kind === 'answer' && answer.status === 400 && codeOfAnswer(answer) === 'DisplayException') return 'kept'
      throw faultOf(answer)
    },
    createServer: async ({ claimId, name, userId, template, environment, allocationId }, beforeSend, signal) => {
      const answer = await client.send({
        method: 'POST', route: '/servers', path: '/servers', query: { include: 'allocations' }, lane: 'create', kind: 'server', isSlow: true, beforeSend, signal,
        body: {
          external_id: claimId, name, description: `Klaim ${claimId}`, user: userId, egg: template.egg, docker_image: template.image, startup: template.startup,
          environment, limits: template.limits, feature_limits: template.feature_limits, allocation: { default: allocationId },
          skip_scripts: false, oom_disabled: false,
          // The Application API has no power buttons.
          start_on_completion: true,
        },
      })
      const outcome = createOutcomeOf(answer)
      if (outcome !== 'created') return { outcome, reason: faultOf(answer) }
      try {
        return { outcome, server: serverOf(read(ServerItem, answer as Answer).attributes) }
      } catch (error) {
        return { outcome: 'lost', reason: error as Error }
      }
    },
    serverOfClaim: async (claimId, lane, signal, onSend) => {
      const server = await getServer({ route: '/servers/external/{external_id}', path: `/servers/external/${externalId(claimId)}`, lane, signal, ...before(onSend) })
      return server?.externalId === claimId ? server : null
    },
    server: async (id, lane, signal, onSend) => await getServer({ route: '/servers/{id}', path: `/servers/${panelId(id)}`, lane, signal, ...before(onSend) }),
    serversOfClaims: async (claimIds, lane, signal, onSend) => {
      const servers = await get(ServerList, { route: '/servers', path: '/servers', query: { 'filter[external_id]': claimIds.join(','), include: 'user', sort: 'id', per_page: PAGE }, lane, signal, ...before(onSend) })
      if (!servers) throw transient('PANEL_DOWN', 'the panel has no such list')
      const wanted = new Set<string | null>(claimIds)
      // The filter finds every id that contains one of ours.
      return new Map(servers.data.flatMap(({ attributes }) => {
        const { external_id: claimId, relationships } = attributes
        return claimId !== null && wanted.has(claimId) ? [[claimId, { server: serverOf(attributes), owner: relationships?.user?.attributes ?? null }] as const] : []
      }))
    },
    servers: async (signal) => (await everything(ServerPage, '/servers', signal)).map(({ attributes }) => serverOf(attributes)),
    users: async (signal) => (await everything(UserList, '/users', signal)).map(({ attributes }) => attributes),
    statuses: async (uuids, signal) => {
      const servers = await get(ServerList, { route: '/servers', path: '/servers', query: { 'filter[uuid]': uuids.join(','), sort: 'id', per_page: PAGE }, lane: 'poll', signal })
      return new Map((servers?.data ?? []).map(({ attributes: { uuid, status } }) => [uuid, status]))
    },
    deleteServer: async (id, signal, beforeSend) => {
      const answer = await client.send({ method: 'DELETE', route: '/servers/{id}', path: `/servers/${panelId(id)}`, lane: 'delete', isSlow: true, signal, ...before(beforeSend) })
      if (answer.kind === 'lost' || !(answer.status === 204 || isGone(answer))) throw faultOf(answer)
    },
    node: async (id, lane, signal) => {
      const node = await get(NodeItem, { route: '/nodes/{id}', path: `/nodes/${panelId(id)}`, query: { include: 'allocations' }, lane, signal })
      if (!node) return null
      const { fqdn, maintenance_mode: isInMaintenance, relationships } = node.attributes
      return { id, fqdn, isInMaintenance, allocations: relationships.allocations.data.map(({ attributes }) => attributes) }
    },
    egg: async (nest, id, signal) => {
      const egg = await get(EggItem, { route: '/nests/{id}/eggs/{id}', path: `/nests/${panelId(nest)}/eggs/${panelId(id)}`, query: { include: 'variables' }, lane: 'poll', signal })
      if (!egg) return null
      const { name, docker_images: images, relationships: { variables } } = egg.attributes
      return { name, images: Object.values(images), variables: variables.data.map(({ attributes: { env_variable, rules } }) => ({ name: env_variable, rules })) }
    },
    close: async () => { await client.close() },
  }
}

const before = (beforeSend: OnSend | undefined): { beforeSend?: OnSend } => beforeSend === undefined ? {} : { beforeSend }

function read<Schema extends TSchema> (schema: Schema, answer: Answer): Static<Schema> {
  if (!validatorOf(schema).Check(answer.body)) throw transient('PANEL_DOWN', `the panel answered ${answer.status} with something unreadable`)
  return answer.body as Static<Schema>
}

function serverOf (attributes: Static<typeof ServerAttributes>): PanelServer {
  const { id, uuid, identifier, status, external_id, user, egg, node, allocation, relationships } = attributes
  return {
    id, uuid, identifier, status, externalId: external_id, userId: user, eggId: egg, nodeId: node,
    allocation: relationships?.allocations?.data.map(({ attributes }) => attributes).find((one) => one.id === allocation),
  }
}
