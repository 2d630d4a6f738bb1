// Where the ledger, the panel and the group disagree. Pure: it is given what each of them says, and says what does not fit. It speaks only of
// what is provably ours (a server with the id of a claim of the ledger, an account with the number or address of one of its members), and never of
// what somebody could not tell: unknown is not absent.
import type { ClaimView } from '../../contracts/requests.ts'
import { emailOf, isOurs, type Account } from './identity.ts'

export const PANEL_DRIFT_KINDS = ['CLAIM_WITHOUT_SERVER', 'SERVER_WITHOUT_CLAIM', 'OWNER_MISMATCH', 'USER_WITHOUT_CLAIM'] as const
export const GROUP_DRIFT_KINDS = ['MEMBER_ABSENT_NOT_SCHEDULED', 'SCHEDULED_BUT_PRESENT', 'SCHEDULE_MISSING'] as const
export type DriftKind = typeof PANEL_DRIFT_KINDS[number] | typeof GROUP_DRIFT_KINDS[number]

/** Ids only: no number, no name. `owner`: in whose hands a server without a claim is. */
export interface Finding { readonly kind: DriftKind, readonly memberId: string, readonly claimId?: string, readonly serverId?: number, readonly userId?: number, readonly owner?: 'member' | 'other' }

export interface ListedServer { readonly id: number, readonly externalId: string | null, readonly userId: number }
export interface PanelContents { readonly servers: readonly ListedServer[], readonly users: readonly Account[] }

export type Presence = 'present' | 'absent' | 'unknown'

const LIVING: ReadonlySet<string> = new Set(['creating', 'active', 'deleting'])
/** A claim that should have its server: from its activation to the point of no return. */
const hasServer = ({ status, deletion_started: isGoing }: ClaimView): boolean => (status === 'active' || status === 'deleting') && isGoing !== true
/** Its departure is decided, and not carried out. */
const isScheduled = ({ delete_job_id: job, status, deletion_started: isGoing }: ClaimView): boolean => job !== null && LIVING.has(status) && isGoing !== true

/** The claims that were the same before and after the panel was read: about the others nothing can be said. */
export function settledOf (before: readonly ClaimView[], after: readonly ClaimView[]): ClaimView[] {
  const earlier = new Map(before.map((claim) => [claim.claim_id, claim.last_event_at]))
  return after.filter(({ claim_id: id, last_event_at: at }) => earlier.get(id) === at)
}

/** `claims`: all of the ledger. `settled`: those to be judged. */
export function panelDrift (claims: readonly ClaimView[], settled: ReadonlySet<string>, { servers, users }: PanelContents, emailDomain: string): Finding[] {
  const findings: Finding[] = []
  const byClaim = new Map(servers.flatMap((server) => server.externalId === null ? [] : [[server.externalId, server] as const]))
  const byId = new Map(servers.map((server) => [server.id, server]))
  const accounts = new Map(users.map((user) => [user.id, user]))
  for (const claim of claims) {
    if (!settled.has(claim.claim_id)) continue
    const { claim_id: claimId, member_id: memberId, wa_jid: waJid } = claim
    const server = byClaim.get(claimId)
    if (hasServer(claim)) {
      // An administrator who edits a server over the API easily drops its external id, and it is the member's all the same.
      const unnamed = byId.get(claim.server_id ?? 0)
      const found = server ?? (unnamed?.externalId === null && unnamed.userId === claim.user_id ? unnamed : undefined)
      if (!found) findings.push({ kind: 'CLAIM_WITHOUT_SERVER', memberId, claimId, ...(claim.server_id === null ? {} : { serverId: claim.server_id }) })
      else if (found.userId !== claim.user_id || found.id !== claim.server_id) findings.push({ kind: 'OWNER_MISMATCH', memberId, claimId, serverId: found.id, userId: found.userId })
    } else if (server && !LIVING.has(claim.status)) {
      const account = accounts.get(server.userId)
      const owner = account && isOurs(account, { memberId, waJid, email: emailOf(memberId, emailDomain) }) ? 'member' : 'other'
      findings.push({ kind: 'SERVER_WITHOUT_CLAIM', memberId, claimId, serverId: server.id, userId: server.userId, owner })
    }
  }
  return [...findings, ...lonelyUsers(claims, settled, { servers, users }, emailDomain)]
}

/** Accounts of members none of whose claims lives, and who own nothing on the panel that could be a reason to stay. */
function lonelyUsers (claims: readonly ClaimView[], settled: ReadonlySet<string>, { servers, users }: PanelContents, emailDomain: string): Finding[] {
  const owners = new Set(servers.map(({ userId }) => userId))
  const members = Map.groupBy(claims, ({ member_id: memberId }) => memberId)
  const past = [...members].flatMap(([memberId, theirs]) => {
    const [claim] = theirs
    return claim && theirs.every(({ claim_id: id, status }) => settled.has(id) && !LIVING.has(status)) ? [{ memberId, waJid: claim.wa_jid, email: emailOf(memberId, emailDomain) }] : []
  })
  const byKey = new Map(past.flatMap((identity) => [[identity.waJid, identity], [identity.email, identity]]))
  return users.flatMap((user): Finding[] => {
    const identity = byKey.get(user.external_id ?? user.email)
    return identity && isOurs(user, identity) && !owners.has(user.id) ? [{ kind: 'USER_WITHOUT_CLAIM', memberId: identity.memberId, userId: user.id }] : []
  })
}

/** `isPending`: whether a wake-up stands on the stream for a job. A job that is due may be between two of them. */
export function groupDrift (settled: readonly ClaimView[], presence: ReadonlyMap<string, Presence>, isPending: ReadonlySet<string>, now: number): Finding[] {
  return settled.flatMap((claim): Finding[] => {
    const { claim_id: claimId, member_id: memberId, delete_job_id: job, deletion_scheduled_at: at } = claim
    const is = presence.get(memberId) ?? 'unknown'
    if (!isScheduled(claim)) return LIVING.has(claim.status) && job === null && is === 'absent' ? [{ kind: 'MEMBER_ABSENT_NOT_SCHEDULED', memberId, claimId }] : []
    return [
      ...(is === 'present' && claim.deletion_even_if_present !== true ? [{ kind: 'SCHEDULED_BUT_PRESENT', memberId, claimId } as const] : []),
      ...(job !== null && at !== null && Date.parse(at) > now && !isPending.has(job) ? [{ kind: 'SCHEDULE_MISSING', memberId, claimId } as const] : []),
    ]
  })
}
