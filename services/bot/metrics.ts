import { Counter, Gauge, Histogram } from 'prom-client'
import { UNDELIVERABLE_CODES } from '../../contracts/codes.ts'
import { LEAD_BUCKETS } from '../common/lead.ts'
import { fromZero, type Metrics } from '../common/metrics.ts'
import { CLOSE_CODES } from './reconnect.ts'

export const CONNECTION_STATES = ['standby', 'connecting', 'linking', 'open', 'waiting', 'stopped'] as const
export type ConnectionState = typeof CONNECTION_STATES[number]

export type BotMetrics = ReturnType<typeof createBotMetrics>

/** What is asked at each scrape. Moments are epoch ms, 0 where there was none. */
export interface BotGauges {
  readonly state: () => ConnectionState
  readonly rosterMembers: () => number
  readonly rosterSeenAt: () => number
  readonly isReliable: () => boolean
  readonly probedAt: () => number
  readonly lockedUntil: () => number
  readonly isRestricted: () => boolean
}

/** Of a bot that is not there. */
export const NO_BOT: BotGauges = { state: () => 'standby', rosterMembers: () => 0, rosterSeenAt: () => 0, isReliable: () => false, probedAt: () => 0, lockedUntil: () => 0, isRestricted: () => false }

const WITNESSED = ['present', 'absent', 'unknown', 'ordered'].map((membership) => ({ membership }))

export function createBotMetrics (metrics: Pick<Metrics, 'registry'>, gauges: BotGauges) {
  const registers = [metrics.registry]
  const asked = (name: string, help: string, value: () => number): Gauge => new Gauge({ name, help, registers, collect () { this.set(value()) } })
  asked('klaim_roster_members', 'People in the believed roster, without the bot', gauges.rosterMembers)
  asked('klaim_roster_seen_timestamp_seconds', 'When the roster was last read and believed; 0: not yet, or another bot reads it', () => gauges.rosterSeenAt() / 1_000)
  asked('klaim_roster_reliable', '1 while membership can be told from the roster', () => gauges.isReliable() ? 1 : 0)
  asked('klaim_whatsapp_probe_timestamp_seconds', 'When WhatsApp last answered a question about the group; 0: not yet', () => gauges.probedAt() / 1_000)
  asked('klaim_whatsapp_reachout_locked_until_timestamp_seconds', 'Until when WhatsApp refuses messages to new contacts; 0: it does not, or tells no end', () => gauges.lockedUntil() / 1_000)
  asked('klaim_whatsapp_restricted', '1 while WhatsApp restricts the account: it is locked, refused or banned', () => gauges.isRestricted() ? 1 : 0)
  return {
    connection: new Gauge({
      name: 'klaim_whatsapp_connection', help: '1 for the state the connection to WhatsApp is in', labelNames: ['state'] as const, registers,
      collect () { for (const state of CONNECTION_STATES) this.set({ state }, gauges.state() === state ? 1 : 0) },
    }),
    lead: new Histogram({ name: 'klaim_claim_lead_seconds', help: 'Time from the accepted claim to the login delivered on WhatsApp', buckets: [...LEAD_BUCKETS], registers }),
    undelivered: fromZero(new Counter({ name: 'klaim_logins_undelivered_total', help: 'Logins of new servers that did not arrive, by code', labelNames: ['code'] as const, registers }), UNDELIVERABLE_CODES.map((code) => ({ code }))),
    witnessed: fromZero(new Counter({ name: 'klaim_deletions_witnessed_total', help: 'Deletions that the ledger started, by what the roster said of the member; `ordered`: of somebody who is there, as an operator ordered', labelNames: ['membership'] as const, registers }), WITNESSED),
    ofPresent: new Counter({ name: 'klaim_deletions_of_present_total', help: 'Deletions that the ledger started while the roster showed the member in the group, and no operator had ordered it: never more than 0', registers }),
    lastOfPresent: new Gauge({ name: 'klaim_deletion_of_present_timestamp_seconds', help: 'When the ledger last started such a deletion; 0: not since the bot started', registers }),
    readings: fromZero(new Counter({ name: 'klaim_roster_readings_total', help: 'Readings of the group, by what was made of them', labelNames: ['verdict'] as const, registers }), ['first', 'same', 'changed', 'suspect', 'blind'].map((verdict) => ({ verdict }))),
    drift: fromZero(new Counter({ name: 'klaim_membership_changes_total', help: 'People who came or went, by whether their number is known', labelNames: ['kind'] as const, registers }), ['joined', 'left', 'joined_unresolved', 'left_unresolved'].map((kind) => ({ kind }))),
    closes: fromZero(new Counter({ name: 'klaim_whatsapp_closes_total', help: 'Connections that ended, by code', labelNames: ['code'] as const, registers }), CLOSE_CODES.map((code) => ({ code }))),
    sends: fromZero(new Counter({ name: 'klaim_whatsapp_sends_total', help: 'Chat messages handed to WhatsApp, by result: accepted, refused_ and its error, or a code', labelNames: ['result'] as const, registers }), [{ result: 'accepted' }, { result: 'refused_463' }]),
    checks: fromZero(new Counter({ name: 'klaim_membership_checks_total', help: 'Questions whether somebody is in the group, by answer', labelNames: ['membership'] as const, registers }), WITNESSED),
    incoming: fromZero(new Counter({ name: 'klaim_whatsapp_incoming_total', help: 'Chat messages from members, by intent', labelNames: ['intent'] as const, registers }), ['status', 'login', 'erase', 'help', 'other'].map((intent) => ({ intent }))),
  }
}
