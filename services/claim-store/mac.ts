// The ledger's own proof of authorship: every decision carries a MAC under a key that only claim-stores have. Rights on a subject are no such
// proof: the server itself can be made to write there (contracts/access.ts), and who may write to NATS's disk needs no rights. Pure.
import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto'
import { attributesOf, MAC_HEADER, type EventAttributes } from '../common/envelope.ts'

export interface Signed { readonly subject: string, readonly id: string, readonly type: string, readonly time: string, readonly body: string | Uint8Array }

export type Stored = { readonly subject: string, readonly header: Parameters<typeof attributesOf>[0], readonly data: Uint8Array }

export interface Mac {
  readonly sign: (message: Signed) => string
  readonly verify: (message: Signed, mac: string) => boolean
  /** The same for a message as it is stored. `attributes`: what its header says, where that was read before. */
  readonly isOurs: (message: Stored, attributes?: EventAttributes) => boolean
}

/** Several keys by comma: the first signs, and what any of them signed is believed. A key that signed once stays in the list, as the ledger stays. */
export function createMac (ledgerKeys: string): Mac {
  const keys = ledgerKeys.split(',').map((key) => createSecretKey(key.trim(), 'utf8'))
  // No field but the last can hold a line break: subjects, ids and types have their patterns, times are RFC 3339.
  const digest = (key: KeyObject, { subject, id, type, time, body }: Signed): Buffer => createHmac('sha256', key).update(`${subject}\n${id}\n${type}\n${time}\n`).update(body).digest()
  const verify = (message: Signed, mac: string): boolean => {
    const given = Buffer.from(mac, 'base64url')
    return keys.some((key) => {
      const expected = digest(key, message)
      return given.length === expected.length && timingSafeEqual(given, expected)
    })
  }
  return {
    verify,
    sign: (message) => digest(keys[0] as KeyObject, message).toString('base64url'),
    isOurs: ({ subject, header, data }, { id, type, time } = attributesOf(header)) =>
      !Number.isNaN(time.getTime()) && verify({ subject, id, type, time: time.toISOString(), body: data }, header?.get(MAC_HEADER) ?? ''),
  }
}
