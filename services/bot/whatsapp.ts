// One connection to WhatsApp through Baileys 7.0.0-rc14: plain values in and out. Baileys never reconnects itself; connection.ts makes a
// new one of these each time.
import {
  Browsers, generateMessageIDV2, isPnUser, jidDecode, makeWASocket, USyncQuery, USyncUser, type BinaryNode, type proto, type WAVersion,
} from '@whiskeysockets/baileys'
import { permanent, transient } from '../common/fault.ts'
import { createAnswers } from './answers.ts'
import { incomingOf, isIgnored, personIn, type Incoming } from './incoming.ts'
import type { LibraryLog } from './library-log.ts'
import type { RecentMessages } from './recent-messages.ts'
import type { Person, Reading } from './roster.ts'
import type { Session } from './session-store.ts'

export type SendResult = { readonly kind: 'accepted' } | { readonly kind: 'refused', readonly error: string }

/** `until` is epoch ms; 0 where WhatsApp does not say. */
export interface ReachoutLock { readonly isActive: boolean, readonly until: number }

/** A group that the bot's account is in. */
export interface GroupSummary { readonly id: string, readonly subject: string, readonly size: number }

/** What can be asked of an open connection. Every call throws a transient Fault where WhatsApp does not answer in time. */
export interface Link {
  /** Faults WHATSAPP_NOT_IN_GROUP and WHATSAPP_RATE_LIMITED where the server says so. */
  readGroup (): Promise<Reading>
  /** The number as WhatsApp writes it, in digits; null where it is not on WhatsApp. */
  canonical (digits: string): Promise<string | null>
  lidOf (phone: string): Promise<string | null>
  /** Resolves with the server's verdict. `id` identifies the message: the recipient shows the same id once. */
  send (to: Person, text: string, id: string): Promise<SendResult>
  reachoutLock (): Promise<ReachoutLock>
  groups (): Promise<GroupSummary[]>
  messageId (): string
}

export interface Listener {
  onOpen (link: Link): void
  /** The last call. `code` as Baileys gives it. */
  onClosed (code: number | undefined): void
  onQr (qr: string): void
  /** WhatsApp wants the code shown anew with a fresh secret. */
  onQrRefreshed (qr: string): void
  onPairingCode (code: string): void
  onPasskeyDemanded (): void
  onLinked (): void
  onIncoming (message: Incoming): void
  onGroupSign (): void
  onPair (pair: Required<Person>): void
  onReachoutLock (lock: ReachoutLock): void
  onCredsUnsaved (error: unknown): void
}

export interface SocketOptions {
  readonly url: string
  readonly version: WAVersion | undefined
  readonly groupId: string
  /** Digits: link by a code typed on this number's phone instead of a QR code. */
  readonly pairingNumber: string | undefined
  readonly openMsMax: number
  readonly answerMsMax: number
  readonly libraryLog: LibraryLog
  readonly recent: RecentMessages<proto.IMessage>
}

/** A QR code is shown for a minute at most, then comes the next or the end (lib/Socket/socket.js). */
const QR_MS_MAX = 90_000

const QUERY_CODES: Readonly<Record<number, string>> = { 403: 'WHATSAPP_NOT_IN_GROUP', 404: 'WHATSAPP_NOT_IN_GROUP', 429: 'WHATSAPP_RATE_LIMITED' }

/** Connects at once; everything comes through `listener`. The answer ends the connection. */
export function openSocket (session: Session, listener: Listener, options: SocketOptions): () => void {
  const { groupId, openMsMax, answerMsMax, recent } = options
  const sock = makeWASocket({
    auth: session.auth,
    logger: options.libraryLog,
    waWebSocketUrl: options.url,
    ...(options.version ? { version: options.version } : {}),
    // Anything but a well-known pair makes linking by code fail without a word.
    browser: Browsers.ubuntu('Chrome'),
    markOnlineOnConnect: false,
    syncFullHistory: false,
    defaultQueryTimeoutMs: answerMsMax,
    // A phone asks five times for a message that it cannot read, and rc14 counts each time twice (lib/Socket/messages-recv.js: handleReceipt, sendMessagesAgain).
    maxMsgRetryCount: 2 * 5,
    getMessage: async ({ id }) => id ? recent.recall(id) : undefined,
    // This drops notifications too, so it must never match the watched group.
    shouldIgnoreJid: (jid) => isIgnored(jid, groupId),
  })
  let isOver = false
  let qr: string | undefined
  // `end` takes the listeners of pending queries away (lib/Socket/socket.js), which then wait for their whole timeout. Some of what is asked takes several round
  // trips, and some would wait for ever where the connection has gone.
  const answers = createAnswers(answerMsMax * 2)

  const link: Link = {
    readGroup: async () => {
      const readAt = Date.now()
      const { participants } = await answer(sock.groupMetadata(groupId))
      const us = new Set([sock.user?.id, sock.user?.lid].map((jid) => jidDecode(jid)?.user).filter((user) => user !== undefined))
      const shown = participants.map(personIn)
      const isUs = ({ phone, lid }: Person): boolean => us.has(phone ?? '') || us.has(lid ?? '')
      return { readAt, includesUs: shown.some(isUs), people: shown.filter((person) => !isUs(person) && (person.phone ?? person.lid) !== undefined) }
    },
    canonical: async (digits) => {
      const found = await answer(sock.onWhatsApp(digits))
      if (!found) throw transient('WHATSAPP_NO_ANSWER', 'WhatsApp did not say whether a number exists')
      const jid = found.find(({ exists }) => exists)?.jid
      return jid !== undefined && isPnUser(jid) ? jidDecode(jid)?.user ?? null : null
    },
    lidOf: async (phone) => {
      // Not from the library's own table: it keeps a mapping for days, and WhatsApp sometimes gives LIDs anew.
      const query = new USyncQuery().withLIDProtocol().withContext('background').withUser(new USyncUser().withId(`${phone}@s.whatsapp.net`))
      const found = await answer(sock.executeUSyncQuery(query))
      if (!found) throw transient('WHATSAPP_NO_ANSWER', 'WhatsApp did not say under which LID a number is known')
      const jid = found.list[0]?.['lid']
      return typeof jid === 'string' ? jidDecode(jid)?.user ?? null : null
    },
    send: async (to, text, id) => {
      const jid = to.lid === undefined ? `${to.phone}@s.whatsapp.net` : `${to.lid}@lid`
      // `sendMessage` resolves when the bytes are written; the verdict is the stanza that comes back under the same id.
      const verdict: Promise<BinaryNode | undefined> = sock.waitForMessage(id, answerMsMax)
      verdict.catch(() => {})
      recent.remember(id, { extendedTextMessage: { text } })
      await answer(sock.sendMessage(jid, { text, linkPreview: null }, { messageId: id }))
      const node = await answer(verdict)
      if (!node) throw transient('WHATSAPP_NO_ACK', 'WhatsApp did not say what became of a message')
      const error = node.tag === 'ack' ? node.attrs['error'] : undefined
      // A number by all that is known; whatever else the server writes there must not get into logs and metrics.
      return error === undefined ? { kind: 'accepted' } : { kind: 'refused', error: /^\d{1,4}$/.test(error) ? error : 'unknown' }
    },
    reachoutLock: async () => lockOf(await answer(sock.fetchAccountReachoutTimelock())),
    groups: async () => Object.values(await answer(sock.groupFetchAllParticipating())).map(({ id, subject, participants }) => ({ id, subject, size: participants.length })),
    messageId: () => generateMessageIDV2(sock.user?.id),
  }

  async function answer<Result> (asked: Promise<Result>): Promise<Result> {
    try {
      return await answers.of(asked)
    } catch (error) {
      const data = (error as { data?: unknown }).data
      const code = typeof data === 'number' ? QUERY_CODES[data] : undefined
      if (code !== undefined) throw transient(code, 'WhatsApp refused a question')
      throw transient(isOver ? 'WHATSAPP_CLOSED' : 'WHATSAPP_NO_ANSWER', 'WhatsApp did not answer', { cause: error })
    }
  }

  function end (): void {
    if (isOver) return
    void sock.end(undefined)
    // The library waits for the server to say goodbye, 30 s long where it is mute. It listens to nothing any more, so the next connection need not wait.
    setTimeout(() => { over(undefined) }, answerMsMax).unref()
  }

  // The library waits for ever for the word that lets it in, as long as its pings are answered. So whatever does not get on is ended.
  let stalling = setTimeout(end, openMsMax)
  function gotOn (waitMs?: number): void {
    clearTimeout(stalling)
    if (waitMs !== undefined) stalling = setTimeout(end, waitMs)
  }

  function over (code: number | undefined): void {
    if (isOver) return
    isOver = true
    gotOn()
    answers.end()
    listener.onClosed(code)
  }

  // Events may come before `open`: those of the group are emitted at once, and are queued on the server while nobody listens.
  sock.ev.on('creds.update', () => { session.saveCreds().catch((error: unknown) => { listener.onCredsUnsaved(error) }) })
  sock.ev.on('connection.update', (update) => {
    if (isOver) return
    if (update.qr !== undefined) {
      gotOn(QR_MS_MAX)
      const isFirst = qr === undefined
      qr = update.qr
      if (options.pairingNumber === undefined) listener.onQr(qr)
      else if (isFirst) sock.requestPairingCode(options.pairingNumber).then((code) => { listener.onPairingCode(code) }, end)
    }
    if (update.isNewLogin) {
      gotOn(openMsMax)
      listener.onLinked()
    }
    if (update.reachoutTimeLock) listener.onReachoutLock(lockOf(update.reachoutTimeLock))
    if (update.connection === 'open') {
      gotOn()
      listener.onOpen(link)
    }
    if (update.receivedPendingNotifications) listener.onGroupSign()
    if (update.connection === 'close') over((update.lastDisconnect?.error as { output?: { statusCode?: number } } | undefined)?.output?.statusCode)
  })
  sock.ev.on('group-participants.update', ({ id }) => { if (id === groupId) listener.onGroupSign() })
  sock.ev.on('groups.update', (groups) => { if (groups.some(({ id }) => id === groupId)) listener.onGroupSign() })
  sock.ev.on('groups.upsert', (groups) => { if (groups.some(({ id }) => id === groupId)) listener.onGroupSign() })
  // A message that waited while the bot was away comes as `append`.
  sock.ev.on('messages.upsert', ({ messages }) => {
    for (const message of messages) {
      const incoming = incomingOf(message)
      if (!incoming) continue
      if (incoming.from.phone !== undefined && incoming.from.lid !== undefined) listener.onPair({ phone: incoming.from.phone, lid: incoming.from.lid })
      listener.onIncoming(incoming)
    }
  })
  // A changed number never becomes an event in this version (it throws inside process-message.js), and its raw form says enough.
  sock.ws.on('CB:notification,type:w:gp2', (node: BinaryNode) => { if (node.attrs['from'] === groupId) listener.onGroupSign() })
  // Since mid-2026 a scan may be answered by a demand for a fresh secret, which this version ignores: the phone then says that it could not link.
  sock.ws.on('CB:notification,type:companion_reg_refresh', () => {
    const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')
    sock.authState.creds.advSecretKey = secret
    sock.ev.emit('creds.update', { advSecretKey: secret })
    if (qr === undefined) return
    qr = withSecret(qr, secret)
    listener.onQrRefreshed(qr)
  })
  sock.ws.on('CB:notification,type:passkey_prologue_request', () => { listener.onPasskeyDemanded() })

  return end
}

/** The QR text is `<address>#<ref>,<noise key>,<identity key>,<secret>,<platform>`. */
export function withSecret (qr: string, secret: string): string {
  const parts = qr.split(',')
  if (parts.length < 4) throw permanent('WHATSAPP_QR_UNKNOWN', 'the QR text is of an unknown form')
  return parts.with(3, secret).join(',')
}

function lockOf ({ isActive, timeEnforcementEnds }: { isActive?: boolean | undefined, timeEnforcementEnds?: Date | undefined }): ReachoutLock {
  return { isActive: isActive === true, until: timeEnforcementEnds?.getTime() ?? 0 }
}
