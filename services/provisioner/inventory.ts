// What is free on the nodes: read once for all claims, and reserved in NATS so that no two of our claims go for the same port.
import { createHash } from 'node:crypto'
import type { Bucket } from '../common/bucket.ts'
import type { Log } from '../common/log.ts'
import { broken, choose, type Breaker, type NodeView, type Port } from './allocation.ts'
import type { Lane } from './panel-budget.ts'
import type { PanelNode } from './pterodactyl.ts'

export type Picked = { readonly kind: 'port', readonly port: Port } | { readonly kind: 'none', readonly reason: 'full' | 'down' }

export interface Inventory {
  /** Reads the nodes unless they are known. */
  warm (nodes: readonly number[], signal: AbortSignal): Promise<void>
  /** A free port on one of the nodes, reserved for the claim until it is released or 15 minutes have passed. */
  pick (claimId: string, nodes: readonly number[], signal: AbortSignal): Promise<Picked>
  /** The panel says that the port is not free: it is not offered again before the node is read anew. */
  mark (port: number, node: number): void
  /** Takes the claim's reservation away. */
  release (port: number, claimId: string): Promise<void>
  failed (node: number): void
  worked (node: number): void
  isOut (node: number): boolean
  /** Where a server on this port is reached. */
  hostOf (port: { readonly ip: string, readonly alias: string | null }, node: number): string
  /** When the first of these nodes may be tried again, in milliseconds from now. */
  outForMs (nodes: readonly number[]): number
}

export interface InventoryOptions {
  readonly read: (node: number, lane: Lane, signal: AbortSignal) => Promise<PanelNode | null>
  readonly reservations: Bucket
  readonly freshMs: number
  readonly breakMs: number
  readonly now: () => number
  readonly random: () => number
  /** Told how many ports of a node no server has, as often as it is read. */
  readonly onRead?: (node: number, free: number) => void
  readonly log: Log
}

interface Cached { readonly readAt: number, readonly node: PanelNode | null }

const RESERVED_MS = 15 * 60_000
/** Reading a node anew because nothing is free helps only if it is not done for every claim. */
const MISS_FRESH_MS = 3_000
const PICKS_MAX = 50

export function createInventory ({ read, reservations, freshMs, breakMs, now, random, onRead = () => {}, log }: InventoryOptions): Inventory {
  const cache = new Map<number, Cached>()
  const reading = new Map<number, Promise<Cached>>()
  const breakers = new Map<number, Breaker>()
  /** Ports that this process saw reserved, until when. The bucket decides; this saves asking it. */
  const taken = new Map<number, number>()

  async function nodeOf (id: number, maxAgeMs: number, signal: AbortSignal): Promise<Cached> {
    const known = cache.get(id)
    if (known && now() - known.readAt < maxAgeMs) return known
    let under = reading.get(id)
    if (!under) {
      under = refreshed(id, signal).finally(() => { reading.delete(id) })
      reading.set(id, under)
    }
    return await under
  }

  async function refreshed (id: number, signal: AbortSignal): Promise<Cached> {
    const readAt = now()
    const node = await read(id, 'create', signal)
    if (node === null) log.error({ node: id }, 'a template names a node that the panel does not have')
    const cached = { readAt, node }
    cache.set(id, cached)
    onRead(id, node?.allocations.filter(({ assigned }) => !assigned).length ?? 0)
    for (const [port, until] of taken) if (until <= now()) taken.delete(port)
    return cached
  }

  async function views (nodes: readonly number[], maxAgeMs: number, signal: AbortSignal): Promise<NodeView[]> {
    const found = await Promise.all(nodes.map(async (id) => await nodeOf(id, maxAgeMs, signal)))
    return found.flatMap(({ node }) => node === null ? [] : [{
      id: node.id, isOut: node.isInMaintenance || isOut(node.id), ports: node.allocations.map((one) => ({ ...one, node: node.id })),
    }])
  }

  async function reserve (id: number, claimId: string): Promise<boolean> {
    taken.set(id, now() + RESERVED_MS)
    if (await reservations.create(keyOfPort(id), holder(claimId)) !== null) return true
    return (await reservations.get(keyOfPort(id)))?.text() === holder(claimId)
  }

  const isOut = (node: number): boolean => (breakers.get(node)?.openUntil ?? 0) > now()

  return {
    warm: async (nodes, signal) => { await views(nodes, freshMs, signal) },
    pick: async (claimId, nodes, signal) => {
      let maxAgeMs = freshMs
      for (let picks = 0; picks < PICKS_MAX; picks++) {
        const choice = choose(await views(nodes, maxAgeMs, signal), (id) => (taken.get(id) ?? 0) > now(), random)
        if (choice.kind === 'port') {
          if (await reserve(choice.port.id, claimId)) return choice
        } else if (choice.reason === 'full' && maxAgeMs > MISS_FRESH_MS) {
          // What was taken when the list was read may be free by now.
          maxAgeMs = MISS_FRESH_MS
        } else {
          return choice
        }
      }
      return { kind: 'none', reason: 'full' }
    },
    mark: (port, node) => {
      taken.set(port, now() + freshMs)
      cache.delete(node)
    },
    release: async (port, claimId) => {
      const held = await reservations.get(keyOfPort(port))
      if (held?.text() === holder(claimId)) await reservations.delete(keyOfPort(port))
      taken.delete(port)
    },
    failed: (node) => { breakers.set(node, broken(breakers.get(node), now(), breakMs)) },
    worked: (node) => { breakers.delete(node) },
    isOut,
    hostOf: ({ ip, alias }, node) => alias || (isWildcard(ip) ? cache.get(node)?.node?.fqdn ?? ip : ip),
    outForMs: (nodes) => Math.max(0, Math.min(...nodes.map((node) => breakers.get(node)?.openUntil ?? now())) - now()),
  }
}

/** What goes by its time stays in the file, so no claim's id is put there. */
const holder = (claimId: string): string => createHash('sha256').update(claimId).digest('base64url')
const keyOfPort = (id: number): string => `port-${id}`
const isWildcard = (ip: string): boolean => ip === '0.0.0.0' || ip === '::'
