// What members, visitors and others do in the drills.
import { setTimeout as delay } from 'node:timers/promises'
import { jetstream } from '@nats-io/jetstream'
import type { System } from '../../../deploy/staging/system.ts'
import { connectNats } from '../../common/connect.ts'
import { until } from '../journey.ts'
import type { Field, Member } from './field.ts'

export async function publish (system: System, subject: string, body: string): Promise<void> {
  const operator = await connectNats(system.nats.access('operator'), 'operator')
  try {
    await jetstream(operator).publish(subject, body)
  } finally {
    await operator.close()
  }
}

export const statusOf = async (person: Member, claimId: string, status: string): Promise<void> => { await until(`the claim is ${status}`, async () => (await person.progress(claimId)).status === status || undefined) }

/** The form filled in, and the claim accepted. */
export async function claims (person: Member): Promise<string> {
  return await until('the claim is accepted', async () => {
    const { status, body } = await person.claim()
    return status === 202 ? body.claim_id : undefined
  })
}

/** … and the server made. */
export async function hasServer (field: Field): Promise<{ person: Member, claimId: string }> {
  const person = field.member()
  const claimId = await claims(person)
  await statusOf(person, claimId, 'active')
  return { person, claimId }
}

/** Does it again and again, one after another, from `begin` until `end`, but not more often than `times`. What goes wrong meanwhile is what it was like. */
export function repeating (deed: () => Promise<unknown>, everyMs: number, times = Infinity): { begin: () => void, end: () => Promise<void> } {
  let ending = new AbortController()
  let going = Promise.resolve()
  return {
    begin: () => {
      ending = new AbortController()
      going = (async () => {
        for (let n = 0; n < times && !ending.signal.aborted; n++) {
          await deed().catch(() => {})
          await delay(everyMs, undefined, { signal: ending.signal }).catch(() => {})
        }
      })()
    },
    end: async () => {
      ending.abort()
      await going
    },
  }
}
