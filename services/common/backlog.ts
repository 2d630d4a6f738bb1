// How long the oldest message of a consumer has been waiting. The server does not say, and who may not read a stream cannot look. Two things
// are known, and each of them shows a time at which the oldest was there already:
//   - what was delivered to this process carries the time at which it was stored;
//   - where everything up to the floor is acknowledged, and the floor has not moved since an earlier look, the oldest is the same as then.
// So the age is never too high, and exact once the oldest has been delivered here.

export interface Look {
  /** Sequence on the stream up to which everything is acknowledged. */
  readonly floor: number
  /** Messages not yet acknowledged, delivered or not. */
  readonly waiting: number
}

export interface Backlog {
  readonly floor: number
  /** Epoch ms since when the oldest message waits, at the latest; null: none waits. */
  readonly since: number | null
}

/** `undone`: when what was delivered to us and is not done was stored, epoch ms by sequence. */
export function backlogAt (before: Backlog | undefined, { floor, waiting }: Look, undone: ReadonlyMap<number, number>, now: number): Backlog {
  if (waiting === 0) return { floor, since: null }
  const times = [...undone].flatMap(([sequence, storedAt]) => sequence > floor ? [storedAt] : [])
  if (before?.floor === floor && before.since !== null) times.push(before.since)
  return { floor, since: Math.min(now, ...times) }
}
