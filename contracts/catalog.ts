// Everything the services say to each other, listed once. The documents in docs/ are generated from these lists.
import type { EventDefinition, RequestDefinition } from './define.ts'
import { claimActivated, claimDeleted, claimErased, claimFailed, claimRequested, deletionCancelled, deletionScheduled, deletionStarted } from './events/claims.ts'
import { deletionConfirmed, deletionDue, deletionPostponed, deletionRefuted, deletionUnscheduled } from './events/deletions.ts'
import { memberJoined, memberLeft } from './events/members.ts'
import { messageDelivered, messageOutbound, messageUndeliverable } from './events/messages.ts'
import { serverDeleted, serverFailed, serverProgressed, serverReady } from './events/servers.ts'
import { createClaim, eraseMember, getBrake, getClaim, listClaims, resetPassword, rosterSummary, sendLogin, setBrake } from './requests.ts'

export const EVENTS: readonly EventDefinition[] = [
  memberJoined, memberLeft,
  claimRequested, claimActivated, claimFailed, deletionScheduled, deletionCancelled, deletionStarted, claimDeleted, claimErased,
  serverProgressed, serverReady, serverFailed, serverDeleted,
  deletionDue, deletionConfirmed, deletionRefuted, deletionPostponed, deletionUnscheduled,
  messageOutbound, messageDelivered, messageUndeliverable,
]

export const REQUESTS: readonly RequestDefinition[] = [
  createClaim, getClaim, listClaims, eraseMember, resetPassword, sendLogin, rosterSummary, getBrake, setBrake,
]
