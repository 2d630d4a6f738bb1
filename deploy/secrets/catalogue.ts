// Every secret of an installation, once: its file, who is given it, and what it must look like. Whoever is not named for a secret never gets
// it. A secret that each service has for itself is several entries with one variable and a file for each.
import { NUMBER_PATTERN, NUMBERS_PATTERN } from '../../contracts/ids.ts'
import { problemOfKeys, problemOfPublicKey } from './login-keys.ts'
import { NATS_KEY_OWNERS, problemOfSeed, seedFileOf } from './nats-seed.ts'

export interface Secret {
  /** As services are configured with it; they are given `<variable>_FILE`. */
  readonly variable: string
  /** Its file in the directory of secrets. */
  readonly file: string
  readonly holders: readonly string[]
  /** Only a person can give it, and nothing is missing without it. */
  readonly isOptional?: true
  /** What is wrong with a value, without showing it; null where nothing is. `other` reads another secret by its variable. */
  readonly problem: (text: string, other: (variable: string) => string | undefined) => string | null
}

const LENGTH_MIN = 32
const LEDGER_KEYS_MAX = 10
const ALERT_NUMBERS = new RegExp(NUMBERS_PATTERN)
const CANARY_NUMBER = new RegExp(NUMBER_PATTERN)

const problemOfText = (text: string): string | null =>
  text.length < LENGTH_MIN ? `is shorter than ${LENGTH_MIN} characters` : /[\s,]/.test(text) ? 'holds a space or a comma' : null

/** One, or two by comma while it is changed. */
const problemOfPair = (text: string): string | null => {
  const secrets = text.split(',')
  return secrets.length > 2 ? 'holds more than two secrets' : secrets.map(problemOfText).find((problem) => problem !== null) ?? null
}

/** It stands in addresses and in a configuration file. */
const problemOfPassword = (text: string): string | null => problemOfText(text) ?? (/^[A-Za-z0-9]+$/.test(text) ? null : 'holds more than letters and digits')

/** One that signed once is kept for good, since the ledger is. */
const problemOfLedgerKeys = (text: string): string | null => {
  const keys = text.split(',')
  return keys.length > LEDGER_KEYS_MAX ? `holds more than ${LEDGER_KEYS_MAX} keys` : keys.map(problemOfText).find((problem) => problem !== null) ?? null
}

export const SECRETS = [
  { variable: 'MEMBER_ID_KEY', file: 'member_id_key', holders: ['claim-store', 'bot', 'gateway'], problem: problemOfText },
  // A backup is held against what claim-store makes of it.
  { variable: 'LEDGER_KEYS', file: 'ledger_keys', holders: ['claim-store', 'backup'], problem: problemOfLedgerKeys },
  { variable: 'INTERNAL_SECRET', file: 'internal_secret', holders: ['gateway', 'reaper', 'bot'], problem: problemOfPair },
  { variable: 'WEBHOOK_SECRETS', file: 'webhook_secrets', holders: ['gateway'], problem: problemOfPair },
  // Lets Alertmanager tell the bot of alerts, and no more.
  { variable: 'ALERTS_SECRET', file: 'alerts_secret', holders: ['bot', 'alertmanager'], problem: problemOfPair },
  { variable: 'ALERT_NUMBERS', file: 'alert_numbers', holders: ['bot'], isOptional: true, problem: (text) => ALERT_NUMBERS.test(text) ? null : 'is no list of one to five numbers: digits with country code, by comma' },
  { variable: 'CANARY_NUMBER', file: 'canary_number', holders: ['canary'], isOptional: true, problem: (text) => CANARY_NUMBER.test(text) ? null : 'is no number: digits with country code' },
  { variable: 'SESSION_KEY', file: 'session_key', holders: ['bot'], problem: problemOfPair },
  { variable: 'LOGIN_PRIVATE_KEYS', file: 'login_private_keys', holders: ['bot'], problem: problemOfKeys },
  { variable: 'LOGIN_PUBLIC_KEY', file: 'login_public_key', holders: ['provisioner'], problem: (text, other) => problemOfPublicKey(text, other('LOGIN_PRIVATE_KEYS')) },
  { variable: 'PANEL_KEY', file: 'panel_key', holders: ['provisioner'], problem: (text) => /^[A-Za-z0-9_]{20,128}$/.test(text) ? null : 'is no application key of a panel' },
  // Between the nodes of a cluster of NATS; a single node has no use for it.
  { variable: 'NATS_ROUTES_PASSWORD', file: 'nats_routes', holders: ['nats'], problem: problemOfPassword },
  ...NATS_KEY_OWNERS.map((owner) => ({ variable: 'NATS_NKEY_SEED' as const, file: seedFileOf(owner), holders: owner === 'operator' ? [owner, 'backup', 'canary'] as const : [owner] as const, problem: problemOfSeed })),
] as const satisfies readonly Secret[]

/** Those of which there is one. */
export type SecretName = Exclude<typeof SECRETS[number]['variable'], 'NATS_NKEY_SEED'>
export const secretOf = (variable: SecretName): Secret => SECRETS.find((secret) => secret.variable === variable) as Secret

/** The secrets of a service. */
export const secretsFor = (service: string): readonly Secret[] => (SECRETS as readonly Secret[]).filter(({ holders }) => holders.includes(service))
