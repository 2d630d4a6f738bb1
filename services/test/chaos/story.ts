// What the streams say happened, and what of it may never happen. Pure but for the reading.
import type { StoredMsg } from '@nats-io/jetstream'
import type { System } from '../../../deploy/staging/system.ts'
import { withStreams } from '../crowd.ts'

export interface Said { readonly subject: string, readonly type: string, /** By NATS's clock, epoch ms. */ readonly at: number, readonly data: Record<string, unknown>, readonly header: (name: string) => string }

const AT_ONCE = 1_000

/** Every message of a stream, oldest first. */
export async function read (system: System, stream: string): Promise<Said[]> {
  return await withStreams(system, async (jsm) => {
    const { state: { messages, first_seq: first } } = await jsm.streams.info(stream)
    if (messages === 0) return []
    const said: Said[] = []
    for (let next = first, got = AT_ONCE; got === AT_ONCE;) {
      got = 0
      for await (const message of await jsm.direct.getBatch(stream, { seq: next, batch: AT_ONCE })) {
        got++
        next = message.seq + 1
        said.push(saidIn(message))
      }
    }
    return said
  })
}

function saidIn (message: StoredMsg): Said {
  const { subject, header, time } = message
  return { subject, type: (header?.get('ce-type') ?? '').replace(/^klaim\.|\.v\d+$/g, ''), at: time.getTime(), data: dataIn(message.string()), header: (name) => header?.get(name) ?? '' }
}

function dataIn (body: string): Record<string, unknown> {
  try {
    return JSON.parse(body) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** The ids of facts that a stream holds twice. A schedule and what it fires are one fact on two subjects, and are passed over. */
export function doubledIn (said: readonly Said[]): string[] {
  const ids = said.filter(({ subject }) => !/^deletions\.(pending|due)\./.test(subject)).map(({ header }) => header('ce-id'))
  return [...new Set(ids.filter((id, n) => ids.indexOf(id) !== n))]
}

export type Status = 'creating' | 'active' | 'leaving' | 'deleting' | 'deleted' | 'failed'
export interface ClaimStory { readonly claimId: string, readonly waJid: string, status: Status, readonly activations: number, code: string }

/** Replays the ledger by its own rules, apart from the code that wrote it. `problems`: two living claims of one member, events that fit no claim. */
export function claimsIn (ledger: readonly Said[]): { claims: Map<string, ClaimStory>, problems: string[] } {
  const claims = new Map<string, ClaimStory & { activations: number }>()
  const living = new Map<string, string>()
  /** Left while the server was being made: it is carried out once the server is ready. */
  const pendingLeave = new Set<string>()
  const problems: string[] = []
  for (const { type, data } of ledger) {
    const [claimId, waJid] = [String(data['claim_id']), String(data['wa_jid'])]
    if (type === 'claim.requested') {
      const other = claims.get(living.get(waJid) ?? '')
      if (other && other.status !== 'failed' && other.status !== 'deleted') problems.push(`claim ${claimId} was accepted while ${other.claimId} of the same member was ${other.status}`)
      if (claims.has(claimId)) problems.push(`claim ${claimId} was accepted twice`)
      claims.set(claimId, { claimId, waJid, status: 'creating', activations: 0, code: '' })
      living.set(waJid, claimId)
      continue
    }
    const claim = claims.get(claimId)
    if (!claim) {
      problems.push(`${type} of ${claimId}, which nobody asked for`)
      continue
    }
    const next = after(claim.status, type)
    if (!next) problems.push(`${type} of ${claimId}, which was ${claim.status}`)
    if (type === 'claim.activated') claim.activations++
    if (type === 'claim.failed') claim.code = String(data['code'])
    claim.status = next ?? claim.status
    if (type === 'claim.deletion_scheduled') pendingLeave.add(claimId)
    if (type === 'claim.deletion_cancelled') pendingLeave.delete(claimId)
    if (type === 'claim.activated' && pendingLeave.has(claimId)) claim.status = 'leaving'
  }
  return { claims, problems }
}

function after (status: Status, type: string): Status | undefined {
  switch (type) {
    case 'claim.activated': return status === 'creating' ? 'active' : undefined
    case 'claim.failed': return status === 'creating' ? 'failed' : undefined
    case 'claim.deletion_scheduled': return status === 'active' || status === 'leaving' ? 'leaving' : status === 'creating' ? 'creating' : undefined
    case 'claim.deletion_cancelled': return status === 'leaving' ? 'active' : status === 'creating' ? 'creating' : undefined
    case 'claim.deletion_started': return status === 'leaving' ? 'deleting' : undefined
    case 'claim.deleted': return status === 'deleting' ? 'deleted' : undefined
    default: return undefined
  }
}
