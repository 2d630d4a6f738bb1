// Numbers are learnt of everybody in the group, so that their leaving can be told later. Of whoever has left and holds no claim they serve nothing
// any more, and are forgotten.
import { setTimeout as delay } from 'node:timers/promises'
import { getClaim } from '../../contracts/requests.ts'
import type { Bus } from '../common/bus.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import type { Announcer } from './announcer.ts'

export interface StrangersOptions {
  readonly bus: Pick<Bus, 'request'>
  readonly announcer: Pick<Announcer, 'belief' | 'forget'>
  readonly memberIdOf: (waJid: string) => string
  /** Nobody is taken for gone by a roster that cannot be relied on. */
  readonly isReliable: () => boolean
  readonly everyMs: number
  readonly log: Log
}

/** In one round; the next goes on. */
const QUESTIONS_MAX = 500

/** Resolves when `signal` fires. */
export async function forgetStrangers ({ bus, announcer, memberIdOf, isReliable, everyMs, log }: StrangersOptions, signal: AbortSignal): Promise<void> {
  /** Where the last round stopped: of those who hold a claim the next need not be hindered. */
  let start = 0
  while (!signal.aborted) {
    try {
      await round()
    } catch (error) {
      log.warn({ code: codeOf(error) }, 'numbers of strangers could not be looked through')
    }
    await delay(everyMs, undefined, { signal }).catch(() => {})
  }

  async function round (): Promise<void> {
    const { roster } = announcer.belief()
    if (!roster || !isReliable()) return
    const present = new Set(roster.people.map(({ phone }) => phone))
    const gone = [...roster.aliases.keys()].filter((phone) => !present.has(phone))
    if (start >= gone.length) start = 0
    let forgotten = 0
    for (const phone of gone.slice(start, start + QUESTIONS_MAX)) {
      if (signal.aborted) return
      const member_id = memberIdOf(`${phone}@s.whatsapp.net`)
      if ((await bus.request(getClaim, { member_id })).ok) continue
      await announcer.forget(member_id)
      forgotten++
    }
    start += QUESTIONS_MAX - forgotten
    if (forgotten > 0) log.info({ forgotten }, 'numbers of strangers are forgotten')
  }
}
