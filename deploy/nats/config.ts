// The server's users as a configuration file, and what makes it one node of a cluster. The users are written from the rights of contracts/access.ts and the public keys of an installation.
// `scripts/secrets` writes both; deploy/nats/nats.conf includes them. Every node has the same users, so who asks may do the same on each.
import { rightsOf } from '../../contracts/access.ts'
import type { ServiceName } from '../../contracts/define.ts'

export const NATS_USERS = ['gateway', 'claim-store', 'provisioner', 'reaper', 'notifier', 'bot', 'operator'] as const satisfies readonly ServiceName[]
export type NatsUser = typeof NATS_USERS[number]

/** Public keys, `U…`. A user has two of them while its key is changed. `system` sees the server itself (`nats server report`), and no message of Klaim. */
export type NatsKeys = Readonly<Record<NatsUser | 'system', readonly string[]>>

/** As long as the longest question waits for its answer. */
const ANSWER_WITHIN = '65s'

export function usersText (keys: NatsKeys): string {
  const users = NATS_USERS.flatMap((user) => keys[user].map((key) => `  # ${user}\n  { nkey: ${checked(key)}, permissions: ${permissionsOf(user)} }`))
  return `# Written by scripts/secrets from contracts/access.ts: who may do what. No secret is in here.\nKLAIM_USERS: [\n${users.join('\n')}\n]\n` +
    `SYSTEM_USERS: [ ${keys.system.map((key) => `{ nkey: ${checked(key)} }`).join(', ')} ]\n`
}

function permissionsOf (user: NatsUser): string {
  const { publish, subscribe, isAsked } = rightsOf(user)
  const list = (subjects: readonly string[]): string => `[\n${subjects.map((subject) => `      "${subject}"`).join('\n')}\n    ]`
  return `{\n    publish: { allow: ${list(publish)} }\n    subscribe: { allow: ${list(subscribe)} }\n${isAsked ? `    allow_responses: { max: 1, expires: "${ANSWER_WITHIN}" }\n` : ''}  }`
}

export interface ClusterNode {
  readonly serverName: string
  /** `host:port` on which this node listens for the others. */
  readonly listen: string
  /** Of every node, this one too: `host:port`. */
  readonly routes: readonly string[]
  readonly password: string
  /** Of production: see cluster-tls.example.conf. */
  readonly hasTls: boolean
}

/** Who is let in as a node sees and may do everything, so nodes prove themselves to one another. The password has to stand in each address as well. */
export function clusterText ({ serverName, listen, routes, password, hasTls }: ClusterNode): string {
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(serverName)) throw new Error('the name of a node is letters, digits, - and _')
  for (const address of [listen, ...routes]) if (!/^[A-Za-z0-9.-]+:\d{1,5}$/.test(address)) throw new Error(`${address} is no host:port`)
  if (!/^[A-Za-z0-9]{32,}$/.test(password)) throw new Error('the password of the routes is letters and digits, 32 or more')
  return `# Written by scripts/secrets. Holds the password of the nodes: nobody but nats-server may read it.
server_name: "${serverName}"
cluster {
  name: klaim
  listen: "${listen}"
  authorization { user: routes, password: "${password}", timeout: 5 }
  routes: [
${routes.map((address) => `    "nats://routes:${password}@${address}"`).join('\n')}
  ]
  # A node that hangs is left within some 6 s, so that nothing is sent its way any more.
  ping_interval: "2s"
  ping_max: 2
  # Services know every node by NATS_URL, under names that certificates are for.
  no_advertise: true
${hasTls ? '  include "cluster-tls.conf"\n' : ''}}
`
}

function checked (key: string): string {
  if (!/^U[A-Z2-7]{55}$/.test(key)) throw new Error('a public nkey of a user begins with U and has 56 characters')
  return key
}
