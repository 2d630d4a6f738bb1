// A claim from its request to its end, for tests of what is decided.
import { evolve, type Claim, type ClaimEvent, type Departure, type Server } from '../claim.ts'

export const HOUR = 3_600_000
export const grace = 4 * HOUR
export const now = Date.parse('2026-03-01T12:00:00Z')
export const first = '11111111-1111-4111-8111-111111111111'
export const other = '22222222-2222-4222-8222-222222222222'
export const job = `${first}-d1`
export const server: Server = { user_id: 7, server_id: 8, allocation_id: 9, identifier: 'abcd1234', address: { host: 'node', port: 25565 }, username: 'member-1', sealed_password: 'a.b.c.d.e' }
export const asked = { claimId: first, memberId: 'abcdefghijklmnopqrst', waJid: '6281200000001@s.whatsapp.net', language: 'id', username: 'member-1', template: 'nodejs', templateVersion: 1 } as const

export const activated: ClaimEvent = { type: 'Activated', server }
export const started: ClaimEvent = { type: 'DeletionStarted', deleteJobId: job }
export const deleted: ClaimEvent = { type: 'Deleted', deleteJobId: job, userDeleted: true }
export const failed: ClaimEvent = { type: 'Failed', code: 'INSTALL_TIMEOUT', step: 'install' }
export const requestedWith = (idempotencyKeyHash: string | undefined): ClaimEvent => ({ type: 'Requested', at: now - 24 * HOUR, ...asked, idempotencyKeyHash })
export const scheduledBy = (departure: Departure): ClaimEvent => ({ type: 'DeletionScheduled', departure, reason: 'left', movement: { sequence: 10, at: departure.leftAt } })

export const given = (...events: ClaimEvent[]): Claim => events.reduce(evolve, { status: 'none' } as Claim)

/** Every state that a claim can be in without an operator. */
export const statesOf = (requested: ClaimEvent, scheduled: ClaimEvent) => ({
  none: given(),
  creating: given(requested),
  'creating, left': given(requested, scheduled),
  active: given(requested, activated),
  leaving: given(requested, activated, scheduled),
  deleting: given(requested, activated, scheduled, started),
  failed: given(requested, failed),
  deleted: given(requested, activated, scheduled, started, deleted),
})
