/** The panel's own choice of node and allocation, for creates with `deploy`. */
import { serviceException } from './errors.ts'
import { isFields } from './json.ts'
import type { Fields } from './json.ts'
import type { Allocation, Node, State } from './state.ts'

/** Throws NoViableNodeException if none has room. Every node of the double is in location 1. */
export function viableNodes (state: State, memory: number, disk: number, locations: number[]): Node[] {
  const sum = (node: Node, column: 'memory' | 'disk') =>
    state.servers.values().filter(({ nodeId }) => nodeId === node.id).reduce((total, server) => total + server[column], 0)
  const nodes = [...state.nodes.values()].filter(node => (locations.length === 0 || locations.includes(1)) &&
    sum(node, 'memory') + memory <= node.memory && sum(node, 'disk') + disk <= node.disk)
  if (nodes.length === 0) {
    throw serviceException('NoViableNodeException', 'No nodes satisfying the requirements specified for automatic deployment could be found.')
  }
  return nodes
}

/** A free allocation, at random. Throws NoViableAllocationException. */
export function deploy (state: State, wanted: Fields, memory: number, disk: number): Allocation {
  const locations = isFields(wanted.locations) ? Object.values(wanted.locations).map(Number) : []
  const ids = viableNodes(state, memory, disk, locations).map(({ id }) => id)
  const ranges = isFields(wanted.port_range) ? Object.values(wanted.port_range).map(text => String(text).split('-').map(Number)) : []
  const isUsed = (ip: string) => state.allocations.values().some(one => one.ip === ip && one.serverId !== null)
  const free = [...state.allocations.values()].filter(one => one.serverId === null && ids.includes(one.nodeId) &&
    (ranges.length === 0 || ranges.some(([from = 0, to = from]) => one.port >= from && one.port <= to)) &&
    (wanted.dedicated_ip !== true || !isUsed(one.ip)))
  const chosen = free[Math.floor(Math.random() * free.length)]
  if (chosen === undefined) {
    throw serviceException('NoViableAllocationException', 'No allocations satisfying the requirements for automatic deployment were found.')
  }
  return chosen
}
