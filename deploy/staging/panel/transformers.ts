/** Rows as the panel shows them. Includes reach two levels deep; one the key may not read is a null_resource. */
import { unexpected } from './errors.ts'
import { may, READ } from './keys.ts'
import type { ApiKey, Resource } from './keys.ts'
import type { Allocation, Egg, EggVariable, Nest, Node, Server, State, User } from './state.ts'

export interface Item { object: string, attributes: Record<string, unknown> }
interface List { object: 'list', data: Item[] }

const INCLUDE_DEPTH_MAX = 2

/** Seconds only, and always +00:00. */
export const iso = (time: number) => new Date(time).toISOString().replace(/\.\d{3}Z$/, '+00:00')
const isoMicros = (time: number) => new Date(time).toISOString().replace(/\.\d{3}Z$/, '.000000Z')

export type Transformers = ReturnType<typeof createTransformers>

export function createTransformers (state: State) {
  /** Adds the asked includes that exist; others are ignored without a word. */
  function withIncludes (item: Item, includes: readonly string[], key: ApiKey, known: Record<string, [Resource, (nested: string[]) => Item | List]>): Item {
    const relationships: Record<string, unknown> = {}
    for (const name of new Set(includes.map(include => include.split('.')[0]!))) {
      const found = Object.hasOwn(known, name) ? known[name] : undefined
      if (found === undefined) continue
      const [resource, read] = found
      const nested = includes.filter(include => include.startsWith(`${name}.`)).map(include => include.slice(name.length + 1))
      relationships[name] = may(key, resource, READ) ? read(nested) : { object: 'null_resource', attributes: null }
    }
    if (Object.keys(relationships).length > 0) item.attributes.relationships = relationships
    return item
  }

  const list = <Row>(rows: Iterable<Row>, one: (row: Row) => Item): List => ({ object: 'list', data: [...rows].map(one) })
  const serversOf = (predicate: (server: Server) => boolean) => [...state.servers.values()].filter(predicate)

  const transform = {
    user (user: User, includes: readonly string[], key: ApiKey): Item {
      return withIncludes({
        object: 'user',
        attributes: {
          id: user.id,
          external_id: user.externalId,
          uuid: user.uuid,
          username: user.username,
          email: user.email,
          first_name: user.firstName,
          last_name: user.lastName,
          language: user.language,
          root_admin: user.rootAdmin,
          '2fa': false,
          created_at: iso(user.createdAt),
          updated_at: iso(user.updatedAt)
        }
      }, includes, key, {
        servers: ['servers', nested => list(serversOf(server => server.ownerId === user.id), server => transform.server(server, nested, key))]
      })
    },

    node (node: Node, includes: readonly string[], key: ApiKey): Item {
      const servers = serversOf(server => server.nodeId === node.id)
      const sum = (column: 'memory' | 'disk') => servers.reduce((total, server) => total + server[column], 0)
      return withIncludes({
        object: 'node',
        attributes: {
          id: node.id,
          uuid: node.uuid,
          public: true,
          name: node.name,
          description: 'n',
          location_id: 1,
          fqdn: node.fqdn,
          scheme: 'http',
          behind_proxy: false,
          maintenance_mode: false,
          memory: node.memory,
          memory_overallocate: 0,
          disk: node.disk,
          disk_overallocate: 0,
          upload_size: 100,
          daemon_listen: 8080,
          daemon_sftp: 2022,
          daemon_base: '/var/lib/pterodactyl/volumes',
          created_at: iso(node.createdAt),
          updated_at: iso(node.createdAt),
          allocated_resources: { memory: sum('memory'), disk: sum('disk') }
        }
      }, includes, key, {
        allocations: ['allocations', nested => list([...state.allocations.values()].filter(({ nodeId }) => nodeId === node.id), one => transform.allocation(one, nested, key))],
        servers: ['servers', nested => list(servers, server => transform.server(server, nested, key))],
        location: ['locations', location]
      })
    },

    allocation (allocation: Allocation, includes: readonly string[], key: ApiKey): Item {
      return withIncludes({
        object: 'allocation',
        attributes: {
          id: allocation.id,
          ip: allocation.ip,
          alias: allocation.alias,
          port: allocation.port,
          notes: null,
          assigned: allocation.serverId !== null
        }
      }, includes, key, {
        node: ['nodes', nested => transform.node(state.nodes.get(allocation.nodeId)!, nested, key)],
        server: ['servers', nested => {
          const server = allocation.serverId === null ? undefined : state.servers.get(allocation.serverId)
          return server === undefined ? { object: 'null_resource', attributes: null as unknown as Record<string, unknown> } : transform.server(server, nested, key)
        }]
      })
    },

    nest (nest: Nest, includes: readonly string[], key: ApiKey): Item {
      return withIncludes({
        object: 'nest',
        attributes: {
          id: nest.id,
          uuid: nest.uuid,
          author: nest.author,
          name: nest.name,
          description: nest.description,
          created_at: iso(state.seedTime),
          updated_at: iso(state.seedTime)
        }
      }, includes, key, {
        eggs: ['eggs', nested => list([...state.eggs.values()].filter(({ nestId }) => nestId === nest.id), egg => transform.egg(egg, nested, key))],
        servers: ['servers', nested => list(serversOf(({ nestId }) => nestId === nest.id), server => transform.server(server, nested, key))]
      })
    },

    egg (egg: Egg, includes: readonly string[], key: ApiKey): Item {
      return withIncludes({
        object: 'egg',
        attributes: {
          id: egg.id,
          uuid: egg.uuid,
          name: egg.name,
          nest: egg.nestId,
          author: egg.author,
          description: egg.description,
          docker_image: Object.values(egg.images)[0],
          docker_images: egg.images,
          config: { files: [], startup: { done: egg.done }, stop: egg.stop, logs: [], file_denylist: [], extends: null },
          startup: egg.startup,
          script: { privileged: true, install: '#!/bin/bash\n', entry: 'bash', container: 'ghcr.io/pterodactyl/installers:debian', extends: null },
          created_at: iso(state.seedTime),
          updated_at: iso(state.seedTime)
        }
      }, includes, key, {
        nest: ['nests', nested => transform.nest(state.nests.get(egg.nestId)!, nested, key)],
        servers: ['servers', nested => list(serversOf(({ eggId }) => eggId === egg.id), server => transform.server(server, nested, key))],
        variables: ['eggs', () => list(egg.variables, variable => ({ object: 'egg_variable', attributes: variableOf(egg, variable) }))]
      })
    },

    server (server: Server, includes: readonly string[], key: ApiKey): Item {
      // Of 1.11.8: the transformer of transfers is given null and does not take it.
      if (includes.some(include => include.split('.')[0] === 'transfer')) throw unexpected('TypeError')
      const egg = state.eggs.get(server.eggId)!
      return withIncludes({
        object: 'server',
        attributes: {
          id: server.id,
          external_id: server.externalId,
          uuid: server.uuid,
          identifier: server.uuid.slice(0, 8),
          name: server.name,
          description: server.description,
          status: server.status,
          suspended: server.status === 'suspended',
          limits: {
            memory: server.memory,
            swap: server.swap,
            disk: server.disk,
            io: server.io,
            cpu: server.cpu,
            threads: server.threads,
            oom_disabled: server.oomDisabled
          },
          feature_limits: { databases: server.databaseLimit, allocations: server.allocationLimit, backups: server.backupLimit },
          user: server.ownerId,
          node: server.nodeId,
          allocation: server.allocationId,
          nest: server.nestId,
          egg: server.eggId,
          container: {
            startup_command: server.startup,
            image: server.image,
            installed: server.status === 'installing' || server.status === 'install_failed' ? 0 : 1,
            environment: {
              ...server.variables,
              STARTUP: server.startup,
              P_SERVER_LOCATION: 'loc1',
              P_SERVER_UUID: server.uuid,
              P_SERVER_ALLOCATION_LIMIT: server.allocationLimit
            }
          },
          updated_at: iso(server.updatedAt),
          created_at: iso(server.createdAt)
        }
      }, includes, key, {
        allocations: ['allocations', nested => list([...state.allocations.values()].filter(({ serverId }) => serverId === server.id), one => transform.allocation(one, nested, key))],
        user: ['users', nested => transform.user(state.users.get(server.ownerId)!, nested, key)],
        subusers: ['users', () => list([], never)],
        nest: ['nests', nested => transform.nest(state.nests.get(server.nestId)!, nested, key)],
        egg: ['eggs', nested => transform.egg(egg, nested, key)],
        variables: ['servers', () => list(egg.variables, variable => ({
          object: 'server_variable', attributes: { ...variableOf(egg, variable), server_value: server.variables[variable.envVariable] ?? '' }
        }))],
        location: ['locations', location],
        node: ['nodes', nested => transform.node(state.nodes.get(server.nodeId)!, nested, key)],
        databases: ['server_databases', () => list([], never)]
      })
    }
  }

  function location (): Item {
    return { object: 'location', attributes: { id: 1, short: 'loc1', long: 'loc1', updated_at: iso(state.seedTime), created_at: iso(state.seedTime) } }
  }

  function variableOf (egg: Egg, variable: EggVariable): Record<string, unknown> {
    return {
      id: variable.id,
      egg_id: egg.id,
      name: variable.name,
      description: variable.description,
      env_variable: variable.envVariable,
      default_value: variable.defaultValue,
      user_viewable: variable.viewable,
      user_editable: variable.editable,
      rules: variable.rules,
      created_at: isoMicros(state.seedTime),
      updated_at: isoMicros(state.seedTime)
    }
  }

  return transform
}

const never = (row: never): Item => row

/** `?include=a,b.c` as a list, cut to the depth the panel follows. */
export const includesOf = (query: URLSearchParams): string[] =>
  (query.get('include') ?? '').split(',').filter(Boolean).map(include => include.split('.').slice(0, INCLUDE_DEPTH_MAX).join('.'))

