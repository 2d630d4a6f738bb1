// Each secret does what it is for: what was signed or sealed with it by whoever has it can be verified or opened here. That shows, as far as it can be
// seen from outside, that services were given what stands in the directory.
import type { StoredMsg } from '@nats-io/jetstream'
import { LEDGER_STREAM } from '../../contracts/access.ts'
import type { EventDefinition } from '../../contracts/define.ts'
import { memberJoined, memberLeft } from '../../contracts/events/members.ts'
import { INTERNAL_SECRET_HEADER } from '../../contracts/http.ts'
import { sessionBucket } from '../../contracts/streams.ts'
import { headersOf } from '../../deploy/webhook/client.ts'
import { PAIRING_PATH } from '../../services/bot/internal-http.ts'
import { createCipher } from '../../services/bot/session-cipher.ts'
import { createMac } from '../../services/claim-store/mac.ts'
import { LEDGER_EVENTS } from '../../services/claim-store/record.ts'
import { decodeEvent } from '../../services/common/envelope.ts'
import { memberIdOf } from '../../services/common/member-id.ts'
import { botsOf } from '../../services/common/membership.ts'
import { pageOf } from '../../services/common/page.ts'
import { createOpener, createSealer } from '../../services/common/seal.ts'
import { firstOf } from '../../services/common/secret-pair.ts'
import { defineCheck, no, ok, Unseen, verdictOf, type Finding } from './check.ts'
import { ask } from './http.ts'
import type { World } from './world.ts'

/** What nobody has for a secret. */
const WRONG = 'x'.repeat(64)
const WEBHOOK_PATH = '/api/whatsapp-webhook'
const LOOKED_AT_MAX = 500
const SEALED_LOOKED_AT_MAX = 20

export const secretsMembers = defineCheck('secrets-members', ['SECRETS_DIRECTORY'], async (world) => {
  const key = world.secret('MEMBER_ID_KEY')
  const said = [...await newestOf(world, LEDGER_STREAM, LEDGER_EVENTS), ...await newestOf(world, 'MEMBERS', [memberJoined, memberLeft])]
  return judgeMembers(said.map(([author, { wa_jid: waJid, member_id: memberId }]) => ({ author, isFitting: memberIdOf(key, waJid) === memberId })))
})

/** By each author's newest event that holds both a number and its pseudonym. */
export function judgeMembers (samples: ReadonlyArray<{ readonly author: string, readonly isFitting: boolean }>): Finding {
  const fitting = samples.filter(({ isFitting }) => isFitting).map(({ author }) => author)
  return verdictOf(
    samples.filter(({ isFitting }) => !isFitting).map(({ author }) => `${author} names members by another key`),
    fitting.length === 0 ? 'nobody has been named yet' : `${fitting.join(' and ')} ${fitting.length === 1 ? 'names' : 'name'} members by this key`,
    'give claim-store, bot and gateway the member_id_key of SECRETS_DIRECTORY; it is never just replaced (RUNBOOK.md, "Members\' ids")',
  )
}

interface Named { readonly wa_jid: string, readonly member_id: string }

/** Of the newest events of a stream, the newest of each author that names a member and their number. */
async function newestOf (world: World, stream: string, definitions: readonly EventDefinition[]): Promise<Map<string, Named>> {
  const jsm = await world.jsm()
  const { state: { last_seq: last } } = await jsm.streams.info(stream)
  const newest = new Map<string, Named>()
  for (const message of await pageOf(jsm, stream, { from: Math.max(1, last - LOOKED_AT_MAX + 1), size: LOOKED_AT_MAX })) {
    const event = eventIn(message, definitions)
    if (typeof (event?.data as Partial<Named> | undefined)?.wa_jid === 'string') newest.set(event?.author ?? '', event?.data as Named)
  }
  return newest
}

/** What is no event is looked at by whoever reads the stream, and not here. */
function eventIn ({ subject, header, data }: StoredMsg, definitions: readonly EventDefinition[]): { author: string, data: unknown } | undefined {
  try {
    return decodeEvent(definitions, { subject, headers: header, data })?.event
  } catch {
    return undefined
  }
}

export const secretsLedger = defineCheck('secrets-ledger', ['SECRETS_DIRECTORY'], async (world) => {
  const mac = createMac(world.secret('LEDGER_KEYS'))
  const newest = await (await world.jsm()).streams.getMessage(LEDGER_STREAM, { last_by_subj: 'claims.*.*' })
  return judgeLedger(newest === null ? null : mac.isOurs(newest))
})

/** Null: nothing has been decided yet. */
export const judgeLedger = (isSigned: boolean | null): Finding =>
  isSigned === false ? no('the newest decision on CLAIMS is not signed by any of ledger_keys', 'claim-store and scripts need the same ledger_keys; if they are, see CAUSE_UNKNOWN and who may write on CLAIMS')
    : ok(isSigned === null ? 'nothing has been decided yet' : 'the newest decision is signed by it')

export const secretsSession = defineCheck('secrets-session', ['SECRETS_DIRECTORY'], async (world) => {
  const cipher = createCipher(world.secret('SESSION_KEY'))
  const bucket = `KV_${sessionBucket.name}`
  const stored = (await pageOf(await world.jsm(), bucket, { from: 1, size: SEALED_LOOKED_AT_MAX })).filter(({ header }) => !header?.get('KV-Operation'))
  const opened = stored.filter(({ subject, data }) => isOpened(() => cipher.open(subject.slice(`$KV.${sessionBucket.name}.`.length), data)))
  return judgeSession(stored.length, opened.length, stored.filter(({ data }) => cipher.isOld(data)).length)
})

export function judgeSession (stored: number, opened: number, old: number): Finding {
  if (stored === 0) return ok('no session is stored yet')
  if (opened < stored) return no(`${stored - opened} of ${stored} entries of the session cannot be opened by session_key`, 'give the bot the key it had (several by comma), or link it anew: SESSION_UNREADABLE')
  return ok('it opens the session', old > 0 ? ['the session is still sealed with the old key: restart the bot'] : [])
}

export const secretsLogin = defineCheck('secrets-login', ['SECRETS_DIRECTORY'], async (world) => {
  const seal = await createSealer(world.secret('LOGIN_PUBLIC_KEY'))
  const open = await createOpener(world.secret('LOGIN_PRIVATE_KEYS'))
  const said = 'a password'
  return judgeLogin(await open(await seal(said)).then((heard) => heard === said, () => false))
})

export const judgeLogin = (isOpened: boolean): Finding =>
  isOpened ? ok('what the provisioner seals the bot can open') : no('what is sealed to login_public_key cannot be opened by any of login_private_keys', 'scripts/secrets check says which; RUNBOOK.md, "Rotate the login key"')

export const secretsInternal = defineCheck('secrets-internal', ['SECRETS_DIRECTORY', 'BOT_URL'], async (world, { BOT_URL }) => {
  const knock = async (bot: string, secret: string): Promise<number> => (await ask(bot, PAIRING_PATH, { signal: world.signal, headers: { [INTERNAL_SECRET_HEADER]: secret } })).status
  const found = await Promise.all(botsOf(BOT_URL).map(async (bot) => judgeInternal(await knock(bot, firstOf(world.secret('INTERNAL_SECRET'))), await knock(bot, WRONG))))
  return found.find(({ verdict }) => verdict !== 'ok') ?? found[0] as Finding
})

export function judgeInternal (withOurs: number, withWrong: number): Finding {
  if (withOurs === 401) return no('the bot does not take internal_secret', 'give it the one of SECRETS_DIRECTORY, and restart it')
  if (withOurs !== 200) throw new Unseen(`the bot's internal port answers ${withOurs}`)
  return withWrong === 401 ? ok('the bot takes it, and nothing else') : no('the bot\'s internal port is open to whoever asks', 'what listens at BOT_URL?')
}

interface Refused { readonly status: number, readonly code: string | undefined }

/** Nothing is told: what is signed is empty, so it is refused for that, once the signature was taken. */
export const webhook = defineCheck('webhook', ['SECRETS_DIRECTORY', 'GATEWAY_URL'], async (world, { GATEWAY_URL }) => {
  const body = '{}'
  const tell = async (secret: string): Promise<Refused> => {
    const answer = await ask(GATEWAY_URL, WEBHOOK_PATH, { signal: world.signal, method: 'POST', body, headers: headersOf(secret, body, world.now().getTime()) })
    return { status: answer.status, code: (answer.json() as { error?: { code?: string } }).error?.code }
  }
  return judgeWebhook(await tell(firstOf(world.secret('WEBHOOK_SECRETS'))), await tell(WRONG))
})

export function judgeWebhook (withOurs: Refused, withWrong: Refused): Finding {
  if (withOurs.status === 404) return no('the gateway has no webhook', 'give it WEBHOOK_SECRETS; or, where no outside bot tells who comes and goes: --without webhook')
  if (withOurs.code === 'INVALID_SIGNATURE') return no('the gateway does not take what is signed with webhook_secrets', 'give it the one of SECRETS_DIRECTORY, and restart it')
  if (withOurs.code === 'STALE_TIMESTAMP') return no('the gateway takes the signature and not the time: its clock and ours are a minute apart', 'timedatectl on both machines; start NTP')
  if (withOurs.code !== 'INVALID_REQUEST') throw new Unseen(`the webhook answers ${withOurs.status} ${withOurs.code ?? ''}`.trim())
  return withWrong.code === 'INVALID_SIGNATURE' ? ok('the gateway takes what is signed with it, and nothing else') : no('the webhook takes what nobody signed', 'what listens at GATEWAY_URL?')
}

function isOpened (open: () => unknown): boolean {
  try {
    open()
    return true
  } catch {
    return false
  }
}
