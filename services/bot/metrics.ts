import { Counter, Gauge } from 'prom-client'
import type { Metrics } from '../common/metrics.ts'

export const CONNECTION_STATES = ['standby', 'connecting', 'linking', 'open', 'waiting', 'stopped'] as const
export type ConnectionState = typeof CONNECTION_STATES[number]

export type BotMetrics = ReturnType<typeof createBotMetrics>

/** `gauges` are asked at each scrape. Ages are in seconds, -1 where there is nothing yet. */
export function createBotMetrics (metrics: Metrics, gauges: { state: () => ConnectionState, rosterSize: () => number, rosterAgeS: () => number, isReliable: () => boolean, probeAgeS: () => number, lockedUntilS: () => number }) {
  const registers = [metrics.registry]
  const asked = (name: string, help: string, value: () => number): Gauge => new Gauge({ name, help, registers, collect () { this.set(value()) } })
  asked('klaim_roster_size', 'People in the believed roster, without the bot', gauges.rosterSize)
  asked('klaim_roster_age_seconds', 'Time since the roster was last read and believed', gauges.rosterAgeS)
  asked('klaim_roster_reliable', '1 while membership can be told from the roster', () => gauges.isReliable() ? 1 : 0)
  asked('klaim_whatsapp_probe_age_seconds', 'Time since WhatsApp last answered a question', gauges.probeAgeS)
  asked('klaim_whatsapp_reachout_locked_until_seconds', 'Unix time until which WhatsApp refuses messages to new contacts; 0: not locked', gauges.lockedUntilS)
  return {
    connection: new Gauge({
      name: 'klaim_whatsapp_connection', help: '1 for the state the connection to WhatsApp is in', labelNames: ['state'] as const, registers,
      collect () { for (const state of CONNECTION_STATES) this.set({ state }, gauges.state() === state ? 1 : 0) },
    }),
    readings: new Counter({ name: 'klaim_roster_readings_total', help: 'Readings of the group, by what was made of them', labelNames: ['verdict'] as const, registers }),
    drift: new Counter({ name: 'klaim_membership_changes_total', help: 'People who came or went, by whether their number is known', labelNames: ['kind'] as const, registers }),
    closes: new Counter({ name: 'klaim_whatsapp_closes_total', help: 'Connections that ended, by code', labelNames: ['code'] as const, registers }),
    sends: new Counter({ name: 'klaim_whatsapp_sends_total', help: 'Chat messages handed to WhatsApp, by result', labelNames: ['result'] as const, registers }),
    checks: new Counter({ name: 'klaim_membership_checks_total', help: 'Questions whether somebody is in the group, by answer', labelNames: ['membership'] as const, registers }),
    incoming: new Counter({ name: 'klaim_whatsapp_incoming_total', help: 'Chat messages from members, by intent', labelNames: ['intent'] as const, registers }),
  }
}
