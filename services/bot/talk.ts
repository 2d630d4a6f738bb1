// Listens to members: each of their messages is taken once, and answered through the same mouth as everything else.
import { eraseMember, getClaim, type ClaimView } from '../../contracts/requests.ts'
import type { Bus } from '../common/bus.ts'
import type { Bucket } from '../common/bucket.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { wib, type Messages } from '../common/messages.ts'
import type { Language } from '../../contracts/ids.ts'
import { intentOf, languageFor, NEW_TALK, replyTo, type Claim, type Talk, type Values } from './conversation.ts'
import type { LoginSent, NewLogin } from './login.ts'
import type { BotMetrics } from './metrics.ts'
import type { Membership, Person } from './roster.ts'
import type { Sender } from './sender.ts'
import type { Incoming } from './incoming.ts'
import type { Link } from './whatsapp.ts'

export interface TalkOptions {
  readonly bus: Pick<Bus, 'request'>
  readonly sent: Bucket
  readonly sender: Sender
  readonly link: () => Link | null
  readonly newLogin: NewLogin
  /** With every number and the LID that belong to whoever this is. */
  readonly identify: (person: Person) => { readonly to: Person, readonly numbers: readonly string[] }
  readonly membership: (person: Person) => Membership
  /** Keyed: a plain hash of a number can be found by trying all. */
  readonly hashOf: (text: string) => string
  readonly messages: Messages
  readonly log: Log
  readonly metrics: BotMetrics
}

const TALKS_MAX = 5_000
const IN_HAND_MAX = 100
/** Of somebody who changed numbers. */
const NUMBERS_MAX = 3
/** What waited longer while the bot was away would be answered to nobody's use. */
const AGE_MS_MAX = 6 * 60 * 60_000

export interface Listening { hear (message: Incoming): void, settled (): Promise<void> }

export function createTalk ({ bus, sent, sender, link, newLogin, identify, membership, hashOf, messages, log, metrics }: TalkOptions): Listening {
  const talks = new Map<string, Talk>()
  const inHand = new Set<Promise<void>>()

  async function answer (message: Incoming): Promise<void> {
    if (message.sentAt > 0 && Date.now() - message.sentAt > AGE_MS_MAX) return
    const person = [message.from.lid, message.from.phone].join()
    const isFirst = await sent.create(`in.${hashOf(`${person} ${message.id}`)}`, '')
    if (isFirst === null) return
    const intent = intentOf(message.text)
    metrics.incoming.inc({ intent })
    const { to, numbers } = identify(message.from)
    const id = to.phone ?? to.lid ?? person
    let view: ClaimView | null
    try {
      view = await claimOf(numbers)
    } catch (error) {
      log.warn({ code: codeOf(error), err: error }, 'a member wrote and the claims cannot be read')
      if (intent === 'status' || intent === 'login' || intent === 'erase') await say(to, languageFor(message.text, null), 'unavailable')
      return
    }
    const claim = view && claimIn(view)
    const { reply, talk } = replyTo(intent, claim, membership(to), talks.get(id) ?? NEW_TALK, Date.now(), numbers.length > 0)
    keep(id, talk)
    log.info({ decision: 'chat.answered', intent, reply: reply.kind === 'say' ? reply.key : reply.kind, claim_id: view?.claim_id, member_id: view?.member_id }, 'a member wrote to the bot')
    const language = languageFor(message.text, claim)
    if (reply.kind === 'say') await say(to, language, reply.key, reply.values)
    if (reply.kind === 'erase') await say(to, language, await erase(numbers))
    if (reply.kind === 'login' && view) await answerLogin(to, language, view.claim_id, await newLogin(view, to, language))
  }

  async function answerLogin (to: Person, language: Language, claimId: string, result: LoginSent): Promise<void> {
    if (result.ok) return
    log.warn({ decision: 'login.refused', claim_id: claimId, code: result.rejection }, 'a new login was not sent')
    if (result.rejection === 'TOO_SOON') await say(to, language, 'login_too_soon', { seconds: result.retryAfterS ?? 60 })
    else if (result.rejection === 'NOT_ACTIVE') await say(to, language, 'login_too_late')
    else if (messages.has(`failures.${result.rejection}`)) await say(to, language, 'login_failed', { failure: result.rejection })
    // What is left is that WhatsApp does not let us say anything.
  }

  /** Under every number that the person had. Answers the key of what to say. */
  async function erase (numbers: readonly string[]): Promise<string> {
    let said = 'erase_nothing'
    try {
      for (const phone of numbers.slice(0, NUMBERS_MAX)) {
        const result = await bus.request(eraseMember, { wa_jid: `${phone}@s.whatsapp.net`, by: 'the member', why: 'written to the bot' })
        if (result.ok) said = 'erase_done'
        else if (result.rejection === 'HAS_SERVER') return 'erase_has_server'
      }
      return said
    } catch (error) {
      log.warn({ code: codeOf(error), err: error }, 'a member wants to be erased and the claims cannot be reached')
      return 'unavailable'
    }
  }

  async function claimOf (numbers: readonly string[]): Promise<ClaimView | null> {
    const views: ClaimView[] = []
    for (const phone of numbers.slice(0, NUMBERS_MAX)) {
      const found = await bus.request(getClaim, { wa_jid: `${phone}@s.whatsapp.net` })
      if (found.ok) views.push(found.claim)
    }
    return views.toSorted((one, other) => other.created_at.localeCompare(one.created_at))[0] ?? null
  }

  async function say (to: Person, language: Language, key: string, values: Values = {}): Promise<void> {
    const current = link()
    if (!current) return
    const text = messages.say(language, `chat.${key}`, {
      ...(values.seconds === undefined ? {} : { seconds: values.seconds }),
      ...(values.step === undefined ? {} : { step: messages.say(language, `steps.${values.step}`) }),
      ...(values.failure === undefined ? {} : { failure: messages.say(language, `failures.${values.failure}`) }),
      ...(values.time === undefined ? {} : { time: wib(new Date(values.time), language) }),
    })
    const result = await sender.send(to, text, current.messageId())
    if (result.kind === 'refused') log.warn({ error: result.error }, 'WhatsApp refused an answer')
  }

  function keep (id: string, talk: Talk): void {
    talks.delete(id)
    talks.set(id, talk)
    if (talks.size > TALKS_MAX) talks.delete(talks.keys().next().value as string)
  }

  return {
    hear: (message) => {
      if (inHand.size >= IN_HAND_MAX) {
        log.warn('more members write at once than can be answered')
        return
      }
      const work = answer(message).catch((error: unknown) => { log.warn({ code: codeOf(error), err: error }, 'a member was not answered') }).finally(() => inHand.delete(work))
      inHand.add(work)
    },
    settled: async () => { await Promise.all(inHand) },
  }
}

function claimIn (view: ClaimView): Claim {
  return {
    status: view.status,
    step: view.step,
    failureCode: view.failure_code,
    deletionStarted: view.deletion_started === true,
    deletionAt: view.deletion_scheduled_at === null ? null : Date.parse(view.deletion_scheduled_at),
    hasAccount: view.user_id !== null,
    language: view.language,
  }
}
