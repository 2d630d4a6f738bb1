// Every secret of an installation, once: its file, who is given it, and what it must look like. Whoever is not named for a secret never gets
// it. A secret that each service has for itself is several entries with one variable and a file for each.
import { problemOfKeys, problemOfPublicKey } from './login-keys.ts'
import { NATS_KEY_OWNERS, problemOfSeed, seedFileOf } from './nats-seed.ts'

export interface Secret {
  /** As services are configured with it; they are given `<variable>_FILE`. */
  readonly variable: string
  /** Its file in the directory of secrets. */
  readonly file: string
  readonly holders: readonly string[]
  /** What is wrong with a value, without showing it; null where nothing is. `other` reads another secret by its variable. */
  readonly problem: (text: string, other: (variable: string) => string | undefined) => string | null
}

const LENGTH_MIN = 32
const LEDGER_KEYS_MAX = 10

const problemOfText = (text: string): string | null =>
  text.length < LENGTH_MIN ? `is shorter than ${LENGTH_MIN} characters` : /[\s,]/.test(text) ? 'holds a space or a comma' : null

/** One, or two by comma while it is changed. */
const problemOfPair = (text: string): string | null => {
  const secrets = text.split(',')
  return secrets.length > 2 ? 'holds more than two secrets' : secrets.map(problemOfText).find((problem) => problem !== null) ?? null
}

/** One that signed once is kept for good, since the ledger is. */
const problemOfLedgerKeys = (text: string): string | null => {
  const keys = text.split(',')
  return keys.length > LEDGER_KEYS_MAX ? `holds more than ${LEDGER_KEYS_MAX} keys` : keys.map(problemOfText).find((problem) => problem !== null) ?? null
}

export const SECRETS = [
  { variable: 'MEMBER_ID_KEY', file: 'member_id_key', holders: ['claim-store', 'bot', 'gateway'], problem: problemOfText },
  { variable: 'LEDGER_KEYS', file: 'ledger_keys', holders: ['claim-store'], problem: problemOfLedgerKeys },
  { variable: 'INTERNAL_SECRET', file: 'internal_secret', holders: ['gateway', 'reaper', 'bot'], problem: problemOfPair },
  { variable: 'WEBHOOK_SECRETS', file: 'webhook_secrets', holders: ['gateway'], problem: problemOfPair },
  { variable: 'SESSION_KEY', file: 'session_key', holders: ['bot'], problem: problemOfPair },
  { variable: 'LOGIN_PRIVATE_KEYS', file: 'login_private_keys', holders: ['bot'], problem: problemOfKeys },
  { variable: 'LOGIN_PUBLIC_KEY', file: 'login_public_key', holders: ['provisioner'], problem: (text, other) => problemOfPublicKey(text, other('LOGIN_PRIVATE_KEYS')) },
  { variable: 'PANEL_KEY', file: 'panel_key', holders: ['provisioner'], problem: (text) => /^[A-Za-z0-9_]{20,128}$/.test(text) ? null : 'is no application key of a panel' },
  ...NATS_KEY_OWNERS.map((owner) => ({ variable: 'NATS_NKEY_SEED' as const, file: seedFileOf(owner), holders: [owner], problem: problemOfSeed })),
] as const satisfies readonly Secret[]

/** Those of which there is one. */
export type SecretName = Exclude<typeof SECRETS[number]['variable'], 'NATS_NKEY_SEED'>
export const secretOf = (variable: SecretName): Secret => SECRETS.find((secret) => secret.variable === variable) as Secret

/** The secrets of a service. */
export const secretsFor = (service: string): readonly Secret[] => (SECRETS as readonly Secret[]).filter(({ holders }) => holders.includes(service))
