import pLimit from 'p-limit'
import { permanent, transient } from '../common/fault.ts'
import type { Bucket } from '../common/bucket.ts'
import { validatorOf } from '../common/envelope.ts'
import { AT_REST, BrakeRecord } from './brake.ts'

const KEY = 'brake'
const TRIES_MAX = 20

export interface BrakeStore {
  read (): Promise<BrakeRecord>
  /** Applies a change by compare-and-set; `null` from `change` leaves the record and answers null. */
  change (change: (record: BrakeRecord) => BrakeRecord | null): Promise<BrakeRecord | null>
}

export function createBrakeStore (bucket: Bucket): BrakeStore {
  /** Changes of one process never race each other: of sixty-four deletions that fall due at once most would use up their tries. */
  const inTurn = pLimit(1)

  async function load (): Promise<{ record: BrakeRecord, revision: number }> {
    const entry = await bucket.get(KEY)
    if (!entry) return { record: AT_REST, revision: 0 }
    const record: unknown = JSON.parse(entry.text())
    if (!validatorOf(BrakeRecord).Check(record)) throw permanent('STORE_CORRUPT', 'the record of the brake is not one')
    return { record: record as BrakeRecord, revision: entry.revision }
  }
  return {
    read: async () => (await load()).record,
    change: async (change) => await inTurn(async () => {
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        const { record, revision } = await load()
        const next = change(record)
        if (!next) return null
        const text = JSON.stringify(next)
        const stored = revision === 0 ? await bucket.create(KEY, text) : await bucket.update(KEY, text, revision)
        if (stored !== null) return next
      }
      throw transient('BRAKE_CONTENDED', 'the record of the brake kept changing')
    }),
  }
}
