/** Nodes, allocations, nests and eggs. */
import { invalid, serviceException } from './errors.ts'
import { isFields } from './json.ts'
import { READ, WRITE } from './keys.ts'
import { paginate, partial, select } from './query.ts'
import { addAllocation } from './seeds.ts'
import { includesOf } from './transformers.ts'
import { failuresOf } from './validation.ts'
import { viableNodes } from './deployment.ts'
import type { PanelContext } from './context.ts'
import type { RuleFailure } from './errors.ts'
import type { Fields } from './json.ts'
import type { Route } from './routing.ts'
import type { Allocation, Nest, Node } from './state.ts'

const PORTS_PER_RANGE_MAX = 1000

export function infrastructureRoutes ({ state, transform }: PanelContext): Route[] {
  return [
    {
      method: 'GET', pattern: '/nodes', resource: 'nodes', permission: READ,
      handle ({ query, url, key }) {
        const found = select(state.nodes.values(), query, {
          uuid: partial<Node>(node => node.uuid),
          name: partial<Node>(node => node.name),
          fqdn: partial<Node>(node => node.fqdn),
          daemon_token_id: partial<Node>(node => node.tokenId)
        }, { id: node => node.id, uuid: node => node.uuid, memory: node => node.memory, disk: node => node.disk })
        const { rows, pagination } = paginate(found, query, url)
        return { status: 200, body: { object: 'list', data: rows.map(node => transform.node(node, includesOf(query), key)), meta: { pagination } } }
      }
    },
    {
      method: 'GET', pattern: '/nodes/deployable', resource: 'nodes', permission: READ,
      handle ({ query, body, key }) {
        const asked: Fields = { ...Object.fromEntries(query), ...body }
        const failures = failuresOf(asked, [
          { field: 'memory', rules: 'required|integer|min:0' },
          { field: 'disk', rules: 'required|integer|min:0' }
        ])
        if (failures.length > 0) throw invalid(failures)
        const inQuery = query.getAll('location_ids[]')
        const locations = (isFields(body.location_ids) ? Object.values(body.location_ids) : inQuery).map(Number)
        const nodes = viableNodes(state, Number(asked.memory), Number(asked.disk), locations)
        return { status: 200, body: { object: 'list', data: nodes.map(node => transform.node(node, includesOf(query), key)) } }
      }
    },
    {
      method: 'GET', pattern: '/nodes/{node}', resource: 'nodes', permission: READ,
      handle: ({ bound, query, key }) => ({ status: 200, body: transform.node(bound.node, includesOf(query), key) })
    },
    {
      method: 'GET', pattern: '/nodes/{node}/allocations', resource: 'allocations', permission: READ,
      handle ({ bound, query, url, key }) {
        const own = state.allocations.values().filter(({ nodeId }) => nodeId === bound.node.id)
        const found = select(own, query, {
          ip: (row: Allocation, value) => row.ip === value,
          port: (row: Allocation, value) => String(row.port) === value,
          ip_alias: partial<Allocation>(row => row.alias),
          // Anything but digits asks for the free ones, "true" included; 0 does too.
          server_id: (row: Allocation, value) => /^\d+$/.test(value) && Number(value) !== 0 ? row.serverId === Number(value) : row.serverId === null
        })
        const { rows, pagination } = paginate(found, query, url)
        return { status: 200, body: { object: 'list', data: rows.map(row => transform.allocation(row, includesOf(query), key)), meta: { pagination } } }
      }
    },
    {
      method: 'POST', pattern: '/nodes/{node}/allocations', resource: 'allocations', permission: WRITE,
      handle ({ bound, body }) {
        const failures = [...failuresOf(body, [
          { field: 'ip', rules: 'required|string' },
          { field: 'alias', rules: 'sometimes|nullable|string|max:191' },
          { field: 'ports', rules: 'required|array' }
        ]), ...portFailures(body.ports)]
        if (failures.length > 0) throw invalid(failures)
        const ports = Object.values(body.ports as Fields).flatMap(text => portsOf(String(text)))
        for (const port of ports) addAllocation(state, bound.node.id, String(body.ip), port, (body.alias ?? null) as string | null)
        state.commit()
        return { status: 204, committed: 'allocationCreate' }
      }
    },
    {
      method: 'DELETE', pattern: '/nodes/{node}/allocations/{allocation}', resource: 'allocations', permission: WRITE,
      handle ({ bound }) {
        if (bound.allocation.serverId !== null) {
          throw serviceException('ServerUsingAllocationException',
            'A server is currently assigned to this allocation. An allocation can only be deleted if no server is currently assigned.')
        }
        state.allocations.delete(bound.allocation.id)
        state.commit()
        return { status: 204, committed: 'allocationDelete' }
      }
    },
    {
      method: 'GET', pattern: '/nests', resource: 'nests', permission: READ,
      handle ({ query, url, key }) {
        const { rows, pagination } = paginate([...state.nests.values()], query, url)
        return { status: 200, body: { object: 'list', data: rows.map((nest: Nest) => transform.nest(nest, includesOf(query), key)), meta: { pagination } } }
      }
    },
    {
      method: 'GET', pattern: '/nests/{nest}', resource: 'nests', permission: READ,
      handle: ({ bound, query, key }) => ({ status: 200, body: transform.nest(bound.nest, includesOf(query), key) })
    },
    {
      method: 'GET', pattern: '/nests/{nest}/eggs', resource: 'eggs', permission: READ,
      handle: ({ bound, query, key }) => ({
        status: 200,
        // The one list without pages.
        body: {
          object: 'list',
          data: [...state.eggs.values()].filter(({ nestId }) => nestId === bound.nest.id).map(egg => transform.egg(egg, includesOf(query), key))
        }
      })
    },
    {
      method: 'GET', pattern: '/nests/{nest}/eggs/{egg}', resource: 'eggs', permission: READ,
      handle: ({ bound, query, key }) => ({ status: 200, body: transform.egg(bound.egg, includesOf(query), key) })
    }
  ]
}

function portFailures (ports: unknown): RuleFailure[] {
  if (!isFields(ports)) return []
  return Object.entries(ports).flatMap(([index, port]) => typeof port === 'string'
    ? []
    : [{ field: `ports.${index}`, rule: 'string', message: `The ports.${index} must be a string.` }])
}

function portsOf (text: string): number[] {
  const [, from, to = from] = /^(\d{4,5})(?:-(\d{4,5}))?$/.exec(text) ?? []
  if (from === undefined) {
    if (/^\d+$/.test(text)) throw outOfRange()
    throw serviceException('InvalidPortMappingException', `The mapping provided for ${text} was invalid and could not be processed.`)
  }
  const [first, last] = [Number(from), Number(to)]
  if (last - first + 1 > PORTS_PER_RANGE_MAX) {
    throw serviceException('TooManyPortsInRangeException', 'Adding more than 1000 ports in a single range at once is not supported.')
  }
  if (first <= 1024 || last > 65535) throw outOfRange()
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index)
}

const outOfRange = () => serviceException('PortOutOfRangeException', 'Ports in an allocation must be greater than 1024 and less than or equal to 65535.')
