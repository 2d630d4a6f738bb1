// The server's users as a configuration file, from the rights of contracts/access.ts and the public keys of an installation.
// `scripts/secrets` writes it beside the keys; deploy/nats/nats.conf includes it.
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

function checked (key: string): string {
  if (!/^U[A-Z2-7]{55}$/.test(key)) throw new Error('a public nkey of a user begins with U and has 56 characters')
  return key
}
