// The six services as NATS knows them: `nats service ls`, `info` and `stats` show these names, descriptions and the version that runs.
import type { ServiceName } from './define.ts'

export type Serving = Exclude<ServiceName, 'operator'>

export const SERVICES: Readonly<Record<Serving, string>> = {
  gateway: 'Takes claims over HTTP',
  'claim-store': 'Decides everything about claims',
  provisioner: 'Makes and deletes accounts and servers on the panel',
  reaper: 'Deletes at the promised time, and only then',
  notifier: 'Puts into words what members are told',
  bot: 'Speaks with WhatsApp: who is in the group, and what members are told',
}

export const SERVICE_NAMES = Object.keys(SERVICES) as readonly Serving[]
export const isServing = (name: string): name is Serving => Object.hasOwn(SERVICES, name)
