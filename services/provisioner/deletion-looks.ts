// What is to be deleted is looked at before: the deletion itself goes by number, and a number proves nothing. All deletions that wait are looked at
// in one list of the panel, so that a look costs the same for one as for a hundred, and are carried out in turn.
//
// Between a look and its deletion the panel may change, and it knows no deletion on a condition. So a look counts for LOOK_AGE_MS_MAX from when its question
// went out, however long the deletion then waits for its turn, and one that is older is made again. What this bounds is what may happen meanwhile:
//   the server gets another owner             it is the claim's by the id that only the API writes, whoever owns it: it goes, as it would have gone before
//   it loses that id, or gets another one;    seen before the look and not after it. Who wants to keep a server tells the ledger (scripts/klaim hold): the
//   the account becomes an administrator's    deletion was announced hours before, and the member has been told
//   the account gets another server           the panel itself keeps an account that owns one
//   the number is given to another server     the panel's database counts upwards. After its restart (MySQL before 8.0), and when it comes back from a backup, a number
//                                             may come again, but the panel is away then: a deletion that finds it so throws away what was seen of all that wait
import pLimit from 'p-limit'
import { codeOf, transient } from '../common/fault.ts'
import type { Account } from './identity.ts'
import type { PanelServer } from './pterodactyl.ts'
import { sleep } from './work.ts'

/** Half a window of the panel's limit: who waits for the next window looks again. */
export const LOOK_AGE_MS_MAX = 30_000

/** Epoch ms when the question went out: what was seen is at least this new. */
export interface Look<Seen> { readonly at: number, readonly seen: Seen }

/** A server that carries the claim's id, and whose it is; null where the panel did not show its owner. */
export interface Owned { readonly server: PanelServer, readonly owner: Account | null }

/** Asks the panel; runs `onSend` when the question goes out, again where it is repeated. */
export type Ask<Seen> = (onSend: () => Promise<void>) => Promise<Seen>

export async function lookedAt<Seen> (ask: Ask<Seen>, now: () => number): Promise<Look<Seen>> {
  let at = now()
  const seen = await ask(async () => { at = now() })
  return { at, seen }
}

const isYoung = ({ at }: Look<unknown>, now: number): boolean => now >= at && now - at <= LOOK_AGE_MS_MAX

class LookTooOld extends Error {}
const LOOKS_MAX = 5

/**
 * Looks, and acts on what was seen. `stillYoung` is to be run right before a deletion goes out, and cancels it where the look has grown too old: then it is looked
 * again. Transient Fault PANEL_BUSY where that does not help.
 */
export async function whileYoung<Seen, Result> (look: () => Promise<Look<Seen>>, now: () => number, act: (look: Look<Seen>, stillYoung: () => Promise<void>) => Promise<Result>): Promise<Result> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    const one = await look()
    try {
      return await act(one, async () => { if (!isYoung(one, now())) throw new LookTooOld() })
    } catch (error) {
      if (!(error instanceof LookTooOld)) throw error
    }
  }
  throw transient('PANEL_BUSY', 'no deletion has its turn before what was looked at is too old')
}

export interface DeletionLooks {
  /** Runs `work` when it has its turn. `look` answers from a list that is young enough, null where that did not show the claim's server; it may be asked again. */
  inTurn<Result> (claimId: string, signal: AbortSignal, work: (look: () => Promise<Look<Owned | null>>) => Promise<Result>): Promise<Result>
}

export interface DeletionLooksOptions {
  /** The servers of at most 100 claims, by claim. */
  readonly read: (claimIds: readonly string[], onSend: () => Promise<void>) => Promise<ReadonlyMap<string, Owned>>
  /** How many deletions are carried out at once: each is done with its server and its account before another begins, while the look is young. */
  readonly atOnce: number
  readonly now: () => number
}

interface Waiting { readonly claimId: string, look?: Look<Owned | null> | undefined }

const PAGE = 100
/** Nobody waits for a deletion, so lists are at least this far apart, and each is of all who have come meanwhile. The first is read at once. */
const LIST_GAP_MS = 1_000

export function createDeletionLooks ({ read, atOnce, now }: DeletionLooksOptions): DeletionLooks {
  /** In the order in which they have their turns, those whose turn it is among them. */
  const waiting = new Set<Waiting>()
  const turns = pLimit(atOnce)
  let reading: ReturnType<typeof list> | undefined
  let readAt = -Infinity

  /** Looks at those who wait. */
  async function list (signal: AbortSignal): Promise<ReadonlyMap<Waiting, Look<Owned | null>>> {
    if (waiting.size < PAGE) await sleep(readAt + LIST_GAP_MS - performance.now(), signal)
    readAt = performance.now()
    const asked = [...waiting].slice(0, PAGE)
    const { at, seen } = await lookedAt(async (onSend) => await read(asked.map(({ claimId }) => claimId), onSend), now)
    const looks = new Map(asked.map((one) => [one, { at, seen: seen.get(one.claimId) ?? null }]))
    for (const [one, look] of looks) one.look = look
    return looks
  }

  async function lookFor (one: Waiting, signal: AbortSignal): Promise<Look<Owned | null>> {
    if (one.look && isYoung(one.look, now())) return one.look
    for (;;) {
      reading ??= list(signal).finally(() => { reading = undefined })
      // A list that was asked for before this one came does not answer for it.
      const look = (await reading).get(one)
      if (look) return look
    }
  }

  return {
    inTurn: async (claimId, signal, work) => {
      const one: Waiting = { claimId }
      waiting.add(one)
      try {
        return await turns(async () => {
          try {
            return await work(async () => await lookFor(one, signal))
          } catch (error) {
            // Before the next has its turn.
            if (codeOf(error) === 'PANEL_DOWN') for (const other of waiting) other.look = undefined
            throw error
          }
        })
      } finally {
        waiting.delete(one)
      }
    },
  }
}
