// Which port a server gets. Among all that are free, at random: a choice among the first few of a list that others read too lost 9 of 30
// claims to races (measured on panel 1.11.8), and a port that was freed a moment ago is rarely the next one given.

export interface Port {
  readonly id: number
  readonly node: number
  readonly ip: string
  readonly alias: string | null
  readonly port: number
  readonly assigned: boolean
}

export interface NodeView {
  readonly id: number
  /** In maintenance, or its daemon failed a moment ago. */
  readonly isOut: boolean
  readonly ports: readonly Port[]
}

export type Choice = { readonly kind: 'port', readonly port: Port } | { readonly kind: 'none', readonly reason: 'full' | 'down' }

/** `random` in [0, 1). `down`: no node works at all; `full`: those that work have nothing free. */
export function choose (nodes: readonly NodeView[], isTaken: (id: number) => boolean, random: () => number): Choice {
  const working = nodes.filter(({ isOut }) => !isOut)
  if (working.length === 0) return { kind: 'none', reason: 'down' }
  const free = working.flatMap(({ ports }) => ports).filter(({ id, assigned }) => !assigned && !isTaken(id))
  const port = free[Math.floor(random() * free.length)]
  return port ? { kind: 'port', port } : { kind: 'none', reason: 'full' }
}

export interface Breaker { readonly failures: number, readonly openUntil: number }

/** After each failure in a row a node is left alone twice as long, up to eight times. */
export function broken (before: Breaker | undefined, now: number, breakMs: number): Breaker {
  // Creates that were under way together are one failure.
  if (before && now < before.openUntil) return before
  const failures = (before?.failures ?? 0) + 1
  return { failures, openUntil: now + breakMs * 2 ** Math.min(failures - 1, 3) }
}
