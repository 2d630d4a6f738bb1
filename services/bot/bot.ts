// Puts the parts together. A bot is either standing by or in a term: it holds the lease, has loaded session and roster, and keeps a connection.
// Whatever belongs to a term or to a connection is made anew with it, so nothing old can leak into the next.
import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { proto, WAVersion } from '@whiskeysockets/baileys'
import { claimErased } from '../../contracts/events/claims.ts'
import { messageOutbound } from '../../contracts/events/messages.ts'
import { botErased, botMessages, leaseBucket, maxAgeMsOf, rosterBucket, sentBucket, sessionBucket } from '../../contracts/streams.ts'
import { startAging } from '../common/aging.ts'
import { createBus } from '../common/bus.ts'
import { natsOf } from '../common/connect.ts'
import { type Bucket } from '../common/bucket.ts'
import { on, type Subscription } from '../common/consume.ts'
import { codeOf, Fault } from '../common/fault.ts'
import { memberIdOf as pseudonym } from '../common/member-id.ts'
import { loadMessages } from '../common/messages.ts'
import type { Running, Runtime } from '../common/run.ts'
import { createOpener } from '../common/seal.ts'
import { checkAddress } from './address.ts'
import { createAlertTeller } from './alert-teller.ts'
import { createAnnouncer, type Announcer } from './announcer.ts'
import { isReliable, membershipIn, NOTHING_BELIEVED } from './belief.ts'
import type { BotConfig } from './config.ts'
import { keepConnected, type ConnectionHooks } from './connection.ts'
import { silenceConsole } from './console-silence.ts'
import { createDelivery } from './delivery.ts'
import { createErasure } from './erasure.ts'
import { serveInternal } from './internal-http.ts'
import { acquireLease, type Term } from './lease.ts'
import { witnessDeletions } from './ledger-witness.ts'
import { createLibraryLog } from './library-log.ts'
import { letGoOfContexts } from './library-timers.ts'
import { createNewLogin } from './login.ts'
import { createMembershipCheck } from './membership-check.ts'
import { createBotMetrics, type ConnectionState } from './metrics.ts'
import { createNumbers } from './numbers.ts'
import { createPairing } from './pairing.ts'
import { createRecentMessages } from './recent-messages.ts'
import { createResponder } from './requests.ts'
import { afterSend, isRestricted, UNRESTRICTED } from './restriction.ts'
import { createRetelling } from './retelling.ts'
import { startReader, type RosterReader } from './roster-reader.ts'
import { numbersOf, type Membership, type Person } from './roster.ts'
import { createCipher } from './session-cipher.ts'
import { openSession, resealSession } from './session-store.ts'
import { createSender } from './sender.ts'
import { forgetStrangers } from './strangers.ts'
import { createTalk } from './talk.ts'
import type { Link, ReachoutLock } from './whatsapp.ts'

/** A connection that stayed open this long starts the backoff anew. */
const STEADY_MS = 30_000
const RETRY_DELAY_MS = 1_000
/** A caller of a live membership check gives up after 20 s. */
const LIVE_MS_MAX = 15_000

/** `terminal` is where the QR code is drawn. */
export async function startBot (config: BotConfig, { log, metrics, now }: Runtime, terminal = (text: string): void => { process.stderr.write(text) }): Promise<Running> {
  checkAddress(config.WHATSAPP_URL)
  silenceConsole(log)
  letGoOfContexts()
  const cipher = createCipher(config.SESSION_KEY)
  const open = await createOpener(config.LOGIN_PRIVATE_KEYS)
  const messages = loadMessages(config.MESSAGES_DIR)
  const bus = await createBus({ ...natsOf(config), service: 'bot', log, metrics, now })
  const [sessions, leases, rosters, sent] = await Promise.all([sessionBucket, leaseBucket, rosterBucket, sentBucket].map(async (bucket) => await bus.bucket(bucket))) as [Bucket, Bucket, Bucket, Bucket]
  const memberIdOf = (waJid: string): string => pseudonym(config.MEMBER_ID_KEY, waJid)
  const hashOf = (text: string): string => createHmac('sha256', config.MEMBER_ID_KEY).update(text).digest('base64url')

  let state: ConnectionState = 'standby'
  let term: Term | null = null
  let announcer: Announcer | null = null
  let link: Link | null = null
  let reader: RosterReader | null = null
  let subscription: Subscription | null = null
  let restriction = UNRESTRICTED
  let probedAt = 0
  let isStopping = false

  const belief = () => announcer?.belief() ?? NOTHING_BELIEVED
  const isRosterReliable = (): boolean => isReliable(belief(), Date.now(), config.ROSTER_MAX_AGE_MS)
  const lastProbe = (): number => probedAt = reader?.answeredAt() ?? probedAt
  const botMetrics = createBotMetrics(metrics, {
    state: () => state,
    rosterMembers: () => belief().roster?.people.length ?? 0,
    rosterSeenAt: () => belief().seenAt ?? 0,
    isReliable: isRosterReliable,
    probedAt: lastProbe,
    lockedUntil: () => restriction.lock.isActive ? restriction.lock.until : 0,
    isRestricted: () => isRestricted(restriction, Date.now()),
  })
  const recent = createRecentMessages<proto.IMessage>(config.RESEND_MEMORY_MS)
  const pairing = createPairing(log, terminal)
  const openLink = (): Link | null => link
  const sender = createSender({ link: openLink, isHeld: () => term?.isHeld() ?? false, gapMs: config.SEND_GAP_MS, metrics: botMetrics, onResult: (result) => { restriction = afterSend(restriction, result) } })
  const numbers = createNumbers({ link: openLink, known: (phone) => belief().roster?.aliases.get(phone), perMinuteMax: config.LOOKUPS_PER_MINUTE })
  const membershipOfPerson = (person: Person): Membership => membershipIn(belief(), person, Date.now(), config.ROSTER_MAX_AGE_MS)
  const newLogin = createNewLogin({ bus, sent, sender, link: openLink, open, messages, panelUrl: config.PANEL_PUBLIC_URL, log })
  const deliver = createDelivery({
    bus, sent, link: openLink, sender, numbers, open, log,
    askReachoutLock: async () => { noteLock(await link?.reachoutLock()) },
    onConcluded: ({ kind, requested_at: requestedAt }, outcome) => {
      if (kind !== 'login') return
      if (outcome !== 'delivered') botMetrics.undelivered.inc({ code: outcome })
      else if (requestedAt !== undefined) botMetrics.lead.observe(Math.max(0, bus.clock.now().getTime() - Date.parse(requestedAt)) / 1_000)
    },
  })
  const talk = createTalk({ bus, sent, sender, link: openLink, newLogin, identify, membership: membershipOfPerson, hashOf, messages, log, metrics: botMetrics })
  const check = createMembershipCheck({
    announcer: () => announcer, reader: () => reader, numbers, memberIdOf, ageMsMax: config.ROSTER_MAX_AGE_MS, liveMsMax: LIVE_MS_MAX, log, metrics: botMetrics,
  })
  const tell = createAlertTeller({ sent, sender, numbers, isOpen: () => link !== null, admins: config.ALERT_NUMBERS?.split(',') ?? [], perHourMax: config.ALERT_MESSAGES_PER_HOUR, log })
  const http = await serveInternal({
    host: config.INTERNAL_HOST, port: config.INTERNAL_PORT, secret: config.INTERNAL_SECRET, check, pairing, log, groups: async () => await link?.groups() ?? null,
    alerts: config.ALERTS_SECRET === undefined ? undefined : { secret: config.ALERTS_SECRET, tell },
  })
  log.info({ internal_port: http.port }, 'the internal port is open')
  const respond = createResponder({ bus, numbers, newLogin, retelling: createRetelling({ bus, check, announcer: () => announcer, log }), check, belief, isReliable: isRosterReliable, state: () => state, isOpen: () => link !== null })

  /** A LID that wrote to us is the member whose number the aliases know. */
  function identify ({ phone, lid }: Person): { to: Person, numbers: readonly string[] } {
    const aliases = belief().roster?.aliases ?? new Map<string, string>()
    const known = lid ?? (phone === undefined ? undefined : aliases.get(phone))
    const all = numbersOf({ ...(phone === undefined ? {} : { phone }), ...(known === undefined ? {} : { lid: known }) }, aliases)
    const number = phone ?? all.at(-1)
    return { to: { ...(number === undefined ? {} : { phone: number }), ...(known === undefined ? {} : { lid: known }) }, numbers: all }
  }

  function noteLock (found: ReachoutLock | undefined): void {
    if (!found) return
    if (found.isActive && !restriction.lock.isActive) log.error({ code: 'WHATSAPP_REACHOUT_LOCKED', until: new Date(found.until).toISOString() }, 'WhatsApp refuses messages of this account to new contacts')
    restriction = { ...restriction, lock: found }
  }

  async function stopListening (): Promise<void> {
    const ended = subscription
    subscription = null
    await ended?.stop()
  }

  const hooks: ConnectionHooks = {
    onState: (next) => { state = next },
    onUp: (up, end) => {
      if (!announcer) return
      link = up
      // A lock from before this process began.
      up.reachoutLock().then(noteLock, (error: unknown) => { log.debug({ code: codeOf(error) }, 'WhatsApp did not say whether it locks us') })
      reader = startReader({
        readGroup: async () => await up.readGroup(), announcer, everyMs: config.ROSTER_EVERY_MS, debounceMs: config.ROSTER_DEBOUNCE_MS, gapMsMin: config.ROSTER_GAP_MS,
        missesMax: config.DEAF_AFTER_MISSES, onDeaf: end, log,
      })
      if (!isStopping) subscription = bus.consume(botMessages, [on(messageOutbound, async ({ data, id, time }) => { await deliver(data, id, time) })])
    },
    onDown: async () => {
      link = null
      lastProbe()
      reader?.stop()
      reader = null
      await stopListening()
    },
    onIncoming: (message) => { talk.hear(message) },
    onGroupSign: () => { reader?.hint() },
    onPair: (pair) => {
      // Of strangers nothing is kept.
      if (membershipOfPerson(pair) === 'present') announcer?.learn(pair).catch((error: unknown) => { log.warn({ code: codeOf(error) }, 'a number was not kept') })
    },
    onReachoutLock: noteLock,
  }

  const stopping = new AbortController()
  const holder = randomUUID()
  async function serve (): Promise<void> {
    while (!stopping.signal.aborted) {
      state = 'standby'
      const held = await acquireLease({ bucket: leases, holder, leaseMs: config.LEASE_MS, log }, stopping.signal)
      term = held
      log.info('this bot holds the session')
      try {
        await serveTerm(held, AbortSignal.any([stopping.signal, held.lost]))
      } catch (error) {
        if (!(error instanceof Fault && error.kind === 'transient')) throw error
        log.warn({ code: error.code, err: error }, 'the session could not be taken up')
        await delay(RETRY_DELAY_MS, undefined, { signal: stopping.signal }).catch(() => {})
      } finally {
        await held.release()
        term = null
        announcer = null
      }
    }
  }

  async function serveTerm (held: Term, signal: AbortSignal): Promise<void> {
    await respond()
    const { resealed, unreadable } = await resealSession(sessions, cipher, held.isHeld)
    if (resealed > 0) log.info({ resealed }, 'the session is sealed with the new key')
    if (unreadable > 0) log.error({ unreadable, code: 'SESSION_UNREADABLE' }, 'parts of the session are sealed with a key that is not configured')
    announcer = await createAnnouncer({
      bucket: rosters, bus, groupId: config.GROUP_ID, memberIdOf, policy: { confirmReads: config.ROSTER_CONFIRM_READS, confirmMs: config.ROSTER_CONFIRM_MS }, log, metrics: botMetrics,
    })
    const erase = createErasure({ bus, announcer, log })
    const erasing = bus.consume(botErased, [on(claimErased, async ({ data }, { count }) => { await erase(data, count) })])
    const aging = startAging({
      bus, now, log, what: [{ stream: 'MEMBERS', filter: 'members.>', maxAgeMs: maxAgeMsOf('MEMBERS') }, { stream: `KV_${sentBucket.name}`, filter: `$KV.${sentBucket.name}.>`, maxAgeMs: sentBucket.ttlMs ?? Infinity }],
    })
    const ending = new AbortController()
    const forgetting = forgetStrangers({ bus, announcer, memberIdOf, isReliable: isRosterReliable, everyMs: config.STRANGERS_EVERY_MS, log }, AbortSignal.any([signal, ending.signal]))
    try {
      await connected(held, signal)
    } finally {
      ending.abort()
      await Promise.all([erasing.stop(), forgetting, aging.stop()])
    }
  }

  async function connected (held: Term, signal: AbortSignal): Promise<void> {
    restriction = { ...restriction, stopCode: null }
    const stopCode = await keepConnected({
      openSession: async () => await openSession(sessions, cipher, held.isHeld),
      socket: {
        url: config.WHATSAPP_URL, groupId: config.GROUP_ID, pairingNumber: config.PAIRING_NUMBER, openMsMax: config.OPEN_TIMEOUT_MS, answerMsMax: config.ANSWER_TIMEOUT_MS,
        version: config.WHATSAPP_VERSION?.split(',').map(Number) as WAVersion | undefined, libraryLog: createLibraryLog(log), recent,
      },
      pairing, backoff: { delayMsFirst: config.RECONNECT_MIN_MS, delayMsMax: config.RECONNECT_MAX_MS }, steadyMs: STEADY_MS, hooks, log, metrics: botMetrics,
    }, signal)
    restriction = { ...restriction, stopCode }
    // The lease is kept, so that a standby does not run into the same wall.
    if (stopCode !== null) await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }, { once: true }); if (signal.aborted) resolve() })
  }

  const witness = witnessDeletions({ bus, belief: () => announcer?.belief(), ageMsMax: config.ROSTER_MAX_AGE_MS, memberIdOf, metrics: botMetrics, log })
  const serving = serve().catch((error: unknown) => { if (!stopping.signal.aborted) throw error })

  return {
    checks: {
      nats: () => bus.isConnected() ? 'ok' : 'disconnected',
      whatsapp: () => state === 'open' ? 'ok' : state,
      roster: () => isRosterReliable() ? 'ok' : belief().blind ?? (belief().suspicion ? 'suspect' : 'old'),
    },
    stop: async () => {
      isStopping = true
      // What is being said is said to its end while there is still a connection to hear WhatsApp's verdict on.
      await stopListening()
      await talk.settled()
      stopping.abort()
      await serving
      witness.stop()
      await http.close()
      recent.clear()
      await bus.close()
    },
  }
}
