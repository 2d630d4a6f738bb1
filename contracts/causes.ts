// What may lead to what. An event names its cause by id; a reader believes the event only if the cause stands on its own stream, where
// another author put it. So nobody can have a server deleted, or a member told something, by writing on one stream alone.
import type { EventDefinition } from './define.ts'
import { claimActivated, claimDeleted, claimFailed, claimRequested, deletionCancelled, deletionScheduled, deletionStarted } from './events/claims.ts'
import { deletionConfirmed, deletionDue, deletionPostponed, deletionRefuted, deletionUnscheduled } from './events/deletions.ts'
import { memberJoined, memberLeft } from './events/members.ts'
import { messageDelivered, messageOutbound, messageUndeliverable } from './events/messages.ts'
import { operatorActed } from './events/operations.ts'
import { serverDeleted, serverFailed, serverProgressed, serverReady } from './events/servers.ts'

/** Absent: nothing leads there but the world itself: a form, a change of the group. Every field that a cause's subject needs is in the data of the effect. */
const CAUSES = new Map<EventDefinition, readonly EventDefinition[]>([
  [claimActivated, [serverReady]],
  [claimFailed, [serverFailed]],
  [deletionScheduled, [memberLeft, deletionPostponed, operatorActed('claim-store')]],
  [deletionCancelled, [memberJoined, deletionRefuted]],
  [deletionStarted, [deletionConfirmed]],
  [claimDeleted, [serverDeleted]],
  [serverProgressed, [claimRequested]],
  [serverReady, [claimRequested]],
  [serverFailed, [claimRequested]],
  [serverDeleted, [deletionStarted]],
  // Whatever wakes the reaper, a deletion is always that of the departure which the ledger decided.
  [deletionDue, [deletionScheduled]],
  [deletionConfirmed, [deletionScheduled]],
  [deletionRefuted, [deletionScheduled]],
  [deletionPostponed, [deletionScheduled]],
  [deletionUnscheduled, [deletionCancelled]],
  [messageOutbound, [claimActivated, claimFailed, deletionScheduled, deletionCancelled, claimDeleted]],
  [messageDelivered, [messageOutbound]],
  [messageUndeliverable, [messageOutbound]],
] as Array<[EventDefinition, EventDefinition[]]>)

export const causesOf = (definition: EventDefinition): readonly EventDefinition[] => CAUSES.get(definition) ?? []
