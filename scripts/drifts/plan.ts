// What is to be done about what disagrees, and the name of that plan. An operator confirms a plan by its hash, so the same findings must have the same
// hash whoever looks, and any other finding, or any other step about one, another. Pure.
import { createHash } from 'node:crypto'
import type { Finding } from '../../services/provisioner/drift.ts'

/** `person`: nobody but a person can tell what is right; RUNBOOK.md says what to look at. */
export type Action = 'delete_server' | 'delete_account' | 'schedule' | 'tell_left' | 'tell_joined' | 'person'

export interface Step { readonly finding: Finding, readonly action: Action }
export interface Plan { readonly steps: readonly Step[], readonly hash: string }

export function actionFor ({ kind, owner }: Finding): Action {
  switch (kind) {
    // A server somebody deleted holds data that only a backup may have; one that was moved, somebody moved.
    case 'CLAIM_WITHOUT_SERVER':
    case 'OWNER_MISMATCH': return 'person'
    // The id of the claim proves whose it was; its owner, that nobody has been given it since.
    case 'SERVER_WITHOUT_CLAIM': return owner === 'member' ? 'delete_server' : 'person'
    case 'USER_WITHOUT_CLAIM': return 'delete_account'
    case 'MEMBER_ABSENT_NOT_SCHEDULED': return 'tell_left'
    case 'SCHEDULED_BUT_PRESENT': return 'tell_joined'
    case 'SCHEDULE_MISSING': return 'schedule'
  }
}

/** Fields in one order, absent ones null. */
const canonical = ({ kind, memberId, claimId, serverId, userId, owner }: Finding): ReadonlyArray<string | number | null> => [kind, memberId, claimId ?? null, serverId ?? null, userId ?? null, owner ?? null]

export function planOf (findings: readonly Finding[]): Plan {
  const rows = findings.map((finding) => ({ finding, action: actionFor(finding), text: JSON.stringify([...canonical(finding), actionFor(finding)]) })).toSorted((one, two) => one.text < two.text ? -1 : 1)
  const hash = createHash('sha256').update(JSON.stringify({ version: 1, steps: rows.map(({ text }) => text) })).digest('hex')
  return { steps: rows.map(({ finding, action }) => ({ finding, action })), hash }
}
