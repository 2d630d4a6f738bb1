import { sameText } from './collation.ts'
import { deploy } from './deployment.ts'
import { conflict, invalid, notFound, PanelError, unexpected } from './errors.ts'
import { isFields } from './json.ts'
import { READ, WRITE } from './keys.ts'
import { pause } from './pause.ts'
import { paginate, partial, select } from './query.ts'
import { additionalOf, descriptionRules, externalIdRule, nameRules, userRule, validateEnvironment, validateRequest } from './server-rules.ts'
import { includesOf } from './transformers.ts'
import { failuresOf, isTrue } from './validation.ts'
import type { PanelContext } from './context.ts'
import type { Fields } from './json.ts'
import type { Call, Route } from './routing.ts'
import type { Server, ServerStatus } from './state.ts'

export function serverRoutes (context: PanelContext): Route[] {
  const { state, transform, wings } = context
  const shown = (server: Server, { query, key }: Call) => transform.server(server, includesOf(query), key)
  return [
    {
      method: 'GET', pattern: '/servers', resource: 'servers', permission: READ,
      handle (call) {
        const found = select(state.servers.values(), call.query, {
          uuid: partial<Server>(server => server.uuid),
          uuidShort: partial<Server>(server => server.uuid.slice(0, 8)),
          name: partial<Server>(server => server.name),
          description: partial<Server>(server => server.description),
          image: partial<Server>(server => server.image),
          external_id: partial<Server>(server => server.externalId)
        }, { id: server => server.id, uuid: server => server.uuid })
        const { rows, pagination } = paginate(found, call.query, call.url)
        return { status: 200, body: { object: 'list', data: rows.map(server => shown(server, call)), meta: { pagination } } }
      }
    },
    {
      method: 'POST', pattern: '/servers', resource: 'servers', permission: WRITE,
      handle: async call => ({ status: 201, body: shown(await createServer(context, call.body), call), committed: 'serverCreate' })
    },
    {
      method: 'GET', pattern: '/servers/external/{external}', resource: 'servers', permission: READ,
      handle (call) {
        const server = state.serverBy(one => sameText(one.externalId, call.bound.text))
        if (server === undefined) throw notFound()
        return { status: 200, body: shown(server, call) }
      }
    },
    {
      method: 'GET', pattern: '/servers/{server}', resource: 'servers', permission: READ,
      handle: call => ({ status: 200, body: shown(call.bound.server, call) })
    },
    {
      method: 'PATCH', pattern: '/servers/{server}/details', resource: 'servers', permission: WRITE,
      handle (call) {
        const { bound: { server }, body } = call
        const failures = failuresOf(body, [externalIdRule(state, server.id), nameRules, descriptionRules, userRule(state)])
        if (failures.length > 0) throw invalid(failures)
        Object.assign(server, {
          name: body.name,
          ownerId: Number(body.user),
          // What is left out is taken for null.
          externalId: body.external_id ?? null,
          description: body.description ?? '',
          updatedAt: Date.now()
        })
        state.commit()
        return { status: 200, body: shown(server, call), committed: 'serverUpdate' }
      }
    },
    {
      method: 'POST', pattern: '/servers/{server}/suspend', resource: 'servers', permission: WRITE,
      handle: ({ bound }) => suspension(context, bound.server, true)
    },
    {
      method: 'POST', pattern: '/servers/{server}/unsuspend', resource: 'servers', permission: WRITE,
      handle: ({ bound }) => suspension(context, bound.server, false)
    },
    {
      method: 'POST', pattern: '/servers/{server}/reinstall', resource: 'servers', permission: WRITE,
      async handle ({ bound: { server } }) {
        await changing(context, server, 'installing', () => wings.reinstall(server))
        return { status: 204, committed: 'serverUpdate' }
      }
    },
    {
      method: 'DELETE', pattern: '/servers/{server}', resource: 'servers', permission: WRITE,
      handle: ({ bound }) => deletion(context, bound.server, false)
    },
    {
      method: 'DELETE', pattern: '/servers/{server}/{suffix}', resource: 'servers', permission: WRITE,
      // Anything but `force` is a plain delete.
      handle: ({ bound }) => deletion(context, bound.server, bound.text === 'force')
    }
  ]
}

/**
 * The row is committed before Wings is asked, so others see it meanwhile; it is taken back if Wings does not say yes.
 * Whether the client is still there makes no difference.
 */
async function createServer ({ state, knobs, wings }: PanelContext, body: Fields): Promise<Server> {
  validateRequest(state, body)
  const egg = state.eggs.get(Number(body.egg))!
  const limits = body.limits as Fields
  const features = body.feature_limits as Fields
  const allocation = isFields(body.deploy)
    ? deploy(state, body.deploy, Number(limits.memory), Number(limits.disk))
    : state.allocations.get(Number((body.allocation as Fields).default))!
  const variables = validateEnvironment(egg, body.environment as Fields)
  const externalId = (body.external_id ?? null) as string | null

  const isTaken = () => state.serverBy(server => server.allocationId === allocation.id || sameText(server.externalId, externalId)) !== undefined
  await pause(knobs.raceWindowMs)
  if (isTaken() || !state.users.has(Number(body.user))) throw unexpected('DataValidationException')
  await pause(knobs.insertWindowMs)
  if (isTaken()) throw unexpected('UniqueConstraintViolationException')

  const time = Date.now()
  const server: Server = {
    id: state.nextId('servers'),
    externalId,
    uuid: state.newUuid(),
    nodeId: allocation.nodeId,
    name: String(body.name),
    description: (body.description ?? '') as string,
    status: 'installing',
    ownerId: Number(body.user),
    memory: whole(limits.memory),
    swap: whole(limits.swap),
    disk: whole(limits.disk),
    io: whole(limits.io),
    cpu: whole(limits.cpu),
    threads: (limits.threads ?? null) as string | null,
    oomDisabled: body.oom_disabled === undefined || isTrue(body.oom_disabled),
    allocationId: allocation.id,
    nestId: egg.nestId,
    eggId: egg.id,
    startup: String(body.startup),
    image: String(body.docker_image),
    databaseLimit: whole(features.databases),
    allocationLimit: whole(features.allocations),
    backupLimit: whole(features.backups),
    variables,
    isTransferring: false,
    createdAt: time,
    updatedAt: time
  }
  state.servers.set(server.id, server)
  allocation.serverId = server.id
  for (const id of additionalOf(body)) state.allocations.get(Number(id))!.serverId = server.id
  state.commit()
  try {
    await wings.create(server, isTrue(body.start_on_completion))
  } catch (error) {
    // As a forced deletion: Wings is asked to remove it too, whatever it says.
    await wings.delete(server).catch(() => {})
    state.deleteServer(server.id)
    state.commit()
    throw error
  }
  return server
}

const whole = (value: unknown) => Math.round(Number(value ?? 0))

async function suspension (context: PanelContext, server: Server, isSuspending: boolean) {
  const isAlready = (server.status === 'suspended') === isSuspending
  if (!isAlready) {
    if (server.isTransferring) throw conflict('Cannot toggle suspension status on a server that is currently being transferred.')
    await changing(context, server, isSuspending ? 'suspended' : null, () => context.wings.sync(server, isSuspending))
  }
  return { status: 204, committed: 'serverUpdate' as const }
}

/** The status is written first and taken back if Wings refuses. */
async function changing ({ state }: PanelContext, server: Server, status: ServerStatus, ask: () => Promise<void>): Promise<void> {
  const before = server.status
  server.status = status
  server.updatedAt = Date.now()
  state.commit()
  try {
    await ask()
  } catch (error) {
    server.status = before
    state.commit()
    throw error
  }
}

async function deletion ({ state, wings }: PanelContext, server: Server, isForced: boolean) {
  try {
    await wings.delete(server)
  } catch (error) {
    const isGone = error instanceof PanelError && error.code === 'DaemonConnectionException' && error.status === 404
    if (!isForced && !isGone) throw error
  }
  state.deleteServer(server.id)
  state.commit()
  return { status: 204, committed: 'serverDelete' as const }
}
