// Everything the services say to each other, listed once. The documents in docs/ are generated from these lists.
import type { EventDefinition, RequestDefinition } from './define.ts'
import { claimActivated, claimDeleted, claimErased, claimFailed, claimRequested, claimRestored, deletionCancelled, deletionScheduled, deletionStarted } from './events/claims.ts'
import { deletionConfirmed, deletionDue, deletionPostponed, deletionRefuted, deletionUnscheduled } from './events/deletions.ts'
import { memberJoined, memberLeft } from './events/members.ts'
import { messageDelivered, messageOutbound, messageUndeliverable } from './events/messages.ts'
import { OPERATOR_ACTED } from './events/operations.ts'
import { serverDeleted, serverFailed, serverProgressed, serverReady } from './events/servers.ts'
import { discardDeadLetter, REPLAYS } from './replay.ts'
import {
  closeClaims, createClaim, deleteClaim, deleteStrayAccount, deleteStrayServer, eraseMember, extendDeletion, getBrake, getClaim, holdDeletion, listClaims, memberSeen, openClaims, releaseDeletion, resetPassword,
  retryClaim, rosterSummary, scheduleDeletion, sendLogin, setBrake, tellMovement,
} from './requests.ts'

export const EVENTS: readonly EventDefinition[] = [
  memberJoined, memberLeft,
  claimRequested, claimActivated, claimFailed, deletionScheduled, deletionCancelled, deletionStarted, claimDeleted, claimErased, claimRestored,
  serverProgressed, serverReady, serverFailed, serverDeleted,
  deletionDue, deletionConfirmed, deletionRefuted, deletionPostponed, deletionUnscheduled,
  messageOutbound, messageDelivered, messageUndeliverable,
  ...OPERATOR_ACTED.values(),
]

export const REQUESTS: readonly RequestDefinition[] = [
  createClaim, getClaim, listClaims, eraseMember, resetPassword, sendLogin, rosterSummary, getBrake, setBrake, deleteStrayServer, deleteStrayAccount, scheduleDeletion, tellMovement,
  memberSeen, retryClaim, deleteClaim, holdDeletion, releaseDeletion, extendDeletion, closeClaims, openClaims,
  discardDeadLetter, ...REPLAYS.values(),
]
