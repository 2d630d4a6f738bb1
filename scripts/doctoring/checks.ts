// The go/no-go list, in the order in which it is told.
import { backup } from './backup.ts'
import { botGroup, botLinked } from './bot.ts'
import type { Check } from './check.ts'
import { clockHere, clockServices } from './clock.ts'
import { diskBackups, diskBook, diskNats } from './disk.ts'
import { grafana } from './grafana.ts'
import { natsServers, natsStorage } from './nats.ts'
import { panelEggs, panelNodes, templates } from './offers.ts'
import { panelKey } from './panel-key.ts'
import { prometheusAlertmanager, prometheusRules, prometheusTargets } from './prometheus.ts'
import { secretsInternal, secretsLedger, secretsLogin, secretsMembers, secretsSession, webhook } from './round-trips.ts'
import { secretsFiles } from './secrets.ts'
import { servicesReady, servicesRegistered } from './services.ts'
import { natsBuckets, natsConsumers, natsDeadLetters, natsStreams } from './topology.ts'

export const CHECKS: readonly Check[] = [
  panelKey, panelNodes, panelEggs, templates,
  natsServers, natsStorage, natsStreams, natsConsumers, natsBuckets, natsDeadLetters,
  clockHere, clockServices,
  secretsFiles, secretsMembers, secretsLedger, secretsSession, secretsLogin, secretsInternal, webhook,
  servicesRegistered, servicesReady,
  botLinked, botGroup,
  prometheusTargets, prometheusRules, prometheusAlertmanager, grafana,
  backup, diskBook, diskBackups, diskNats,
]

/** Those that a word means: a check's name, or the word before the dash of several. */
export const meantBy = (word: string): Check[] => CHECKS.filter(({ name }) => name === word || name.startsWith(`${word}-`))
