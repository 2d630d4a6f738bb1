// The members of a chaos run: they do what the schedule says, insist where a door is closed, and remember what they were told.
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { System } from '../../../deploy/staging/system.ts'
import { numberOf } from '../crowd.ts'
import { actor, until } from '../journey.ts'
import type { Deed } from './schedule.ts'

/** Presence as the double of WhatsApp had it: from some moment between `asked` and `done` on (epoch ms). */
export interface Move { readonly asked: number, readonly done: number, readonly isPresent: boolean }

export interface Members {
  carryOut (member: number, deed: Deed): Promise<void>
  /** Claims that somebody was told are accepted. */
  readonly accepted: ReadonlyArray<{ readonly member: number, readonly claimId: string }>
  /** Those who asked for a new login at some time. */
  readonly askedForLogin: ReadonlySet<number>
  moves (member: number): readonly Move[]
  /** Answers that nobody should get. */
  readonly oddAnswers: readonly string[]
}

const INSIST_MS = 25_000
const AGAIN_MS = 500

export function createMembers (system: System): Members {
  const accepted: Array<{ member: number, claimId: string }> = []
  const askedForLogin = new Set<number>()
  const moves = new Map<number, Move[]>()
  const oddAnswers: string[] = []
  /** What one member does, they do in order. */
  const queues = new Map<number, Promise<void>>()

  /** One press of the button, pressed again under the same key while no clear answer comes. */
  async function tap (member: number): Promise<void> {
    const key = randomUUID()
    for (const deadline = Date.now() + INSIST_MS; Date.now() < deadline; await delay(AGAIN_MS)) {
      const answer = await actor(system, numberOf(member)).claim({ 'idempotency-key': key }).catch(() => undefined)
      if (!answer || answer.status >= 500 || answer.status === 429) continue
      if (answer.status === 202) accepted.push({ member, claimId: answer.body.claim_id })
      else if (answer.status !== 409 && answer.status !== 403) oddAnswers.push(`a claim was answered ${answer.status} ${answer.body.error?.code}`)
      return
    }
  }

  async function move (member: number, isPresent: boolean): Promise<void> {
    const person = actor(system, numberOf(member))
    const asked = Date.now()
    await until('the double takes a move', isPresent ? person.join : person.leave, { waitMs: 60_000 })
    moves.set(member, [...moves.get(member) ?? [], { asked, done: Date.now(), isPresent }])
  }

  /** What is said while the double is down is not said. */
  async function write (member: number, text: string): Promise<void> {
    await actor(system, numberOf(member)).write(text).catch(() => undefined)
  }

  async function act (member: number, deed: Deed): Promise<void> {
    switch (deed.kind) {
      case 'claim':
        // Pressing takes as long as it takes; the member goes on meanwhile.
        void Promise.all(Array.from({ length: deed.taps }, async () => { await tap(member) }))
        return
      case 'leave': return await move(member, false)
      case 'return': return await move(member, true)
      case 'login':
        askedForLogin.add(member)
        return await write(member, 'SANDI')
      case 'status': return await write(member, 'STATUS')
      default: return deed satisfies never
    }
  }

  return {
    accepted, askedForLogin, oddAnswers,
    moves: (member) => moves.get(member) ?? [],
    carryOut: async (member, deed) => {
      const turn = (queues.get(member) ?? Promise.resolve()).then(async () => { await act(member, deed) })
      queues.set(member, turn)
      await turn
    },
  }
}

/** Was a member out of the group at any moment between two times? */
export function wasAbsent (moves: readonly Move[], from: number, to: number): boolean {
  return moves.some(({ asked, isPresent }, n) => !isPresent && asked <= to && (moves[n + 1]?.done ?? Infinity) >= from)
}
