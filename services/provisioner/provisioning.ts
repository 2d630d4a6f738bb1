// A claim on its way to a server, as a pure function of what is written down about it.
//
//   account ──▶ create ──▶ install ──▶ probe ──▶ ready
//      ▲          ▲  ▲        │ failed once, or vanished once
//      │ user gone│  └ discard◀┘
//      └──────────┘
//   any of them ──▶ cleanup ──▶ failed              ready ──▶ deleted
//
// Every id the panel gives is written down before the panel is asked for anything more, so that a claim goes on where it was, whoever takes it up.
import { Type, type Static } from 'typebox'
import { FailureCode, Step } from '../../contracts/codes.ts'
import { ClaimId, MemberId, PanelId, Sealed } from '../../contracts/ids.ts'

/** Times are epoch milliseconds. */
export const Progress = Type.Object({
  claim_id: ClaimId,
  member_id: MemberId,
  state: Type.Union([Type.Literal('building'), Type.Literal('cleanup'), Type.Literal('ready'), Type.Literal('failed'), Type.Literal('deleted')]),
  /** Counts the servers made for this claim: 2 after a failed install or a vanished server. */
  attempt: Type.Integer({ minimum: 1 }),
  user: Type.Optional(Type.Object({ id: PanelId, username: Type.String() })),
  /** The password last sent to the panel. Kept here sealed only. */
  sealed_password: Type.Optional(Sealed),
  /** The account surely has the password that is sealed above. */
  is_password_sure: Type.Boolean(),
  /** The port that the create was, or is to be, sent with. */
  port: Type.Optional(Type.Object({ id: PanelId, node: PanelId, host: Type.String(), port: Type.Integer({ minimum: 1, maximum: 65535 }) })),
  /** A create went out and its answer has not been written down. */
  create_sent_at: Type.Optional(Type.Integer()),
  server: Type.Optional(Type.Object({ id: PanelId, uuid: Type.String(), identifier: Type.String(), made_at: Type.Integer() })),
  installed_at: Type.Optional(Type.Integer()),
  /** The server is to be deleted and made again. */
  is_discarded: Type.Optional(Type.Boolean()),
  failed_installs: Type.Integer({ minimum: 0 }),
  vanished: Type.Integer({ minimum: 0 }),
  failure: Type.Optional(Type.Object({ code: FailureCode, step: Step })),
  /** What keeps the claim waiting, since when, and when it was last seen. */
  trouble: Type.Optional(Type.Object({ code: Type.String(), since: Type.Integer(), seen_at: Type.Integer() })),
  user_deleted: Type.Optional(Type.Boolean()),
})
export type Progress = Static<typeof Progress>

export const begun = (claimId: string, memberId: string): Progress =>
  ({ claim_id: claimId, member_id: memberId, state: 'building', attempt: 1, is_password_sure: false, failed_installs: 0, vanished: 0 })

export type Next = 'account' | 'create' | 'discard' | 'install' | 'probe' | 'cleanup' | 'say_ready' | 'say_failed' | 'nothing'

export function nextStep (progress: Progress): Next {
  switch (progress.state) {
    case 'ready': return 'say_ready'
    case 'failed': return 'say_failed'
    case 'deleted': return 'nothing'
    case 'cleanup': return 'cleanup'
    case 'building':
      if (!progress.user || !progress.is_password_sure) return 'account'
      if (progress.is_discarded) return 'discard'
      if (!progress.server) return 'create'
      return progress.installed_at === undefined ? 'install' : 'probe'
  }
}

/** The step of a claim as the member sees it. */
export function stepOf (next: Next): Step {
  switch (next) {
    case 'account': return 'account'
    case 'discard':
    case 'create': return 'create'
    case 'install': return 'install'
    case 'probe':
    case 'say_ready': return 'probe'
    case 'cleanup':
    case 'say_failed':
    case 'nothing': return 'queued'
  }
}

const FAILED_INSTALLS_MAX = 2
const VANISHED_MAX = 2

export function afterInstall (progress: Progress, outcome: 'installed' | 'failed' | 'vanished' | 'late', now: number): Progress {
  switch (outcome) {
    case 'installed': return untroubled({ ...progress, installed_at: now })
    case 'late': return failing(progress, 'INSTALL_TIMEOUT', 'install')
    case 'failed': {
      const failed_installs = progress.failed_installs + 1
      if (failed_installs >= FAILED_INSTALLS_MAX) return failing({ ...progress, failed_installs }, 'INSTALL_FAILED', 'install')
      return untroubled({ ...progress, failed_installs, is_discarded: true })
    }
    case 'vanished': return afterVanishing(progress, 'install')
  }
}

export function afterProbe (progress: Progress, outcome: 'up' | 'late' | 'vanished'): Progress {
  if (outcome === 'up') return untroubled({ ...progress, state: 'ready' })
  if (outcome === 'vanished') return afterVanishing(progress, 'probe')
  return failing(progress, 'HEALTHCHECK_TIMEOUT', 'probe')
}

function afterVanishing (progress: Progress, step: Step): Progress {
  const vanished = progress.vanished + 1
  if (vanished >= VANISHED_MAX) return failing({ ...withoutServer(progress), vanished }, 'SERVER_VANISHED', step)
  return { ...withoutServer(progress), vanished, attempt: progress.attempt + 1 }
}

/** The server that was to be made again is gone. */
export const afterDiscard = (progress: Progress): Progress => ({ ...withoutServer(progress), attempt: progress.attempt + 1 })

export function withoutServer (progress: Progress): Progress {
  const { server: _, installed_at: __, is_discarded: ___, port: ____, create_sent_at: _____, ...rest } = untroubled(progress)
  return rest
}

/** Something on the panel may have been made: it is removed before the failure is said. */
export const failing = (progress: Progress, code: FailureCode, step: Step): Progress =>
  ({ ...untroubled(progress), state: 'cleanup', failure: { code, step } })

export function untroubled (progress: Progress): Progress {
  const { trouble: _, ...rest } = progress
  return rest
}

/** Longer than any pause between two tries: a trouble that was not seen for this long had passed. */
const TROUBLE_GAP_MS = 20 * 60_000

/** A claim waits for a trouble to pass, each kind of it for its own time; null when that time is over. */
export function troubled (progress: Progress, code: string, now: number, deadlineMs: number): Progress | null {
  const { trouble } = progress
  if (trouble?.code !== code || now - trouble.seen_at > TROUBLE_GAP_MS) return { ...progress, trouble: { code, since: now, seen_at: now } }
  return now - trouble.since >= deadlineMs ? null : { ...progress, trouble: { ...trouble, seen_at: now } }
}

/**
 * A create whose answer is not known. The row is visible while Wings is still being asked, and goes when Wings refuses: neither it nor its
 * absence is final before the create cannot be going on any more. A status other than `installing` is final: Wings has answered.
 */
export function afterLostCreate (found: { readonly status: string | null } | null, sentAt: number, now: number, waitMs: number): 'adopt' | 'create_again' | { readonly waitMs: number } {
  if (found && found.status !== 'installing') return 'adopt'
  const leftMs = sentAt + waitMs - now
  if (leftMs > 0) return { waitMs: leftMs }
  return found ? 'adopt' : 'create_again'
}
