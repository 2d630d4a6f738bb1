/**
 * The panel's tables, and the containers its nodes run. In a real installation the tables are a database and outlive
 * the panel's process; with a state file they do here too. Every commit is written before the answer goes out.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'

export type ServerStatus = 'installing' | 'install_failed' | 'reinstall_failed' | 'suspended' | null

export interface User {
  id: number
  externalId: string | null
  uuid: string
  username: string
  email: string
  firstName: string
  lastName: string
  language: string
  rootAdmin: boolean
  passwordHash: string
  createdAt: number
  updatedAt: number
}

export interface Node { id: number, uuid: string, name: string, fqdn: string, memory: number, disk: number, tokenId: string, token: string, createdAt: number }
export interface Allocation { id: number, nodeId: number, ip: string, alias: string | null, port: number, serverId: number | null }
export interface EggVariable { id: number, name: string, description: string, envVariable: string, defaultValue: string, viewable: boolean, editable: boolean, rules: string }
export interface Nest { id: number, uuid: string, author: string, name: string, description: string }
export interface Egg {
  id: number
  nestId: number
  uuid: string
  name: string
  author: string
  description: string
  images: Record<string, string>
  startup: string
  stop: string
  done: string
  variables: EggVariable[]
}

export interface Server {
  id: number
  externalId: string | null
  uuid: string
  nodeId: number
  name: string
  description: string
  status: ServerStatus
  ownerId: number
  memory: number
  swap: number
  disk: number
  io: number
  cpu: number
  threads: string | null
  oomDisabled: boolean
  allocationId: number
  nestId: number
  eggId: number
  startup: string
  image: string
  databaseLimit: number
  allocationLimit: number
  backupLimit: number
  variables: Record<string, string>
  isTransferring: boolean
  createdAt: number
  updatedAt: number
}

/** What Wings knows of a server. Lives on the node: a row without container and a container without row both happen. */
export interface Container {
  uuid: string
  nodeId: number
  name: string
  ip: string
  port: number
  startOnCompletion: boolean
  install: { isReinstall: boolean, dueAt: number, outcome: 'success' | 'failure' | 'never' } | null
  isRunning: boolean
}

interface Snapshot {
  version: 1
  bootedAt: number
  sequences: Record<string, number>
  users: User[]
  allocations: Allocation[]
  servers: Server[]
  containers: Container[]
}

export class State {
  readonly users = new Map<number, User>()
  readonly nodes = new Map<number, Node>()
  readonly allocations = new Map<number, Allocation>()
  readonly nests = new Map<number, Nest>()
  readonly eggs = new Map<number, Egg>()
  readonly servers = new Map<number, Server>()
  readonly containers = new Map<string, Container>()
  #sequences: Record<string, number> = {}
  readonly #file: string | undefined
  #seedTime = Date.now()

  constructor (file?: string) {
    this.#file = file
    if (file !== undefined) this.#load(file)
  }

  /** Creation time of what is seeded: the same after a restart. */
  get seedTime (): number {
    return this.#seedTime
  }

  /** Ids are never given twice, not even after the row with the highest one is gone. */
  nextId (table: string): number {
    const id = (this.#sequences[table] ?? 0) + 1
    this.#sequences[table] = id
    return id
  }

  newUuid (): string {
    return randomUUID()
  }

  /** Written aside and renamed, so that a kill in the middle leaves the state before or the state after. */
  commit (): void {
    if (this.#file === undefined) return
    const snapshot: Snapshot = {
      version: 1,
      bootedAt: this.#seedTime,
      sequences: this.#sequences,
      users: [...this.users.values()],
      allocations: [...this.allocations.values()],
      servers: [...this.servers.values()],
      containers: [...this.containers.values()]
    }
    const aside = `${this.#file}.${process.pid}.tmp`
    writeFileSync(aside, JSON.stringify(snapshot), { mode: 0o600 })
    renameSync(aside, this.#file)
  }

  userBy (predicate: (user: User) => boolean): User | undefined {
    return this.users.values().find(predicate)
  }

  serverBy (predicate: (server: Server) => boolean): Server | undefined {
    return this.servers.values().find(predicate)
  }

  /** Also frees its allocations, as the foreign key does. */
  deleteServer (id: number): void {
    this.servers.delete(id)
    for (const allocation of this.allocations.values()) if (allocation.serverId === id) allocation.serverId = null
  }

  #load (file: string): void {
    let text
    try {
      text = readFileSync(file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    const snapshot = JSON.parse(text) as Snapshot
    if (snapshot.version !== 1) throw new Error('PANEL_DOUBLE_STATE_VERSION_UNKNOWN')
    this.#seedTime = snapshot.bootedAt
    this.#sequences = snapshot.sequences
    for (const user of snapshot.users) this.users.set(user.id, user)
    for (const allocation of snapshot.allocations) this.allocations.set(allocation.id, allocation)
    for (const server of snapshot.servers) this.servers.set(server.id, server)
    for (const container of snapshot.containers) this.containers.set(container.uuid, container)
  }
}
