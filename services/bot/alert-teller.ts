// Tells the admins of alerts, through the same mouth as everything else, each alert once when it begins and once when it is over. Alertmanager says
// the same again: when it heard no answer, every few hours while an alert lasts, and from each of its processes. What was told therefore stands in
// the bucket of what was sent, where the next bot finds it; and a message has the same id however often it is sent, which the phone shows once.
import { createHash } from 'node:crypto'
import pLimit from 'p-limit'
import type { Bucket } from '../common/bucket.ts'
import { Fault, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { keyOf, textOf, type Alert, type AlertNotice } from './alerts.ts'
import type { Numbers } from './numbers.ts'
import { meaningOf } from './outbox.ts'
import type { Sender } from './sender.ts'

/** Resolves with how many of the alerts were told. Transient Faults where nobody could be reached: Alertmanager then tells us again. */
export type TellAdmins = (notice: AlertNotice) => Promise<number>

export interface AlertTellerOptions {
  readonly sent: Pick<Bucket, 'get' | 'create'>
  readonly sender: Sender
  readonly numbers: Pick<Numbers, 'addressee'>
  readonly isOpen: () => boolean
  /** Digits. Empty: nobody is told. */
  readonly admins: readonly string[]
  /** To each admin. A storm of alerts must not be what WhatsApp bans the bot for. */
  readonly perHourMax: number
  readonly log: Log
  /** Epoch ms. */
  readonly now?: () => number
}

const HOUR_MS = 60 * 60_000
const WAITING_MAX = 20
const TRIES_MAX = 2
const HELD_BACK_MAX = 1_000

export function createAlertTeller ({ sent, sender, numbers, isOpen, admins, perHourMax, log, now = Date.now }: AlertTellerOptions): TellAdmins {
  const inTurn = pLimit(1)
  /** When messages went out within the last hour. */
  let toldAt: number[] = []
  const heldBack = new Set<string>()

  const isTold = async (alert: Alert, status: Alert['status']): Promise<boolean> => await sent.get(keyOf(alert, status)) !== null
  /** That something is over is news to those alone who were told that it began. */
  const isNews = async (alert: Alert): Promise<boolean> => !await isTold(alert, alert.status) && (alert.status === 'firing' || await isTold(alert, 'firing'))

  async function tell ({ alerts, truncatedAlerts: more = 0 }: AlertNotice): Promise<number> {
    if (!isOpen()) throw transient('WHATSAPP_CLOSED', 'not connected to WhatsApp')
    const news: Alert[] = []
    for (const alert of alerts) if (await isNews(alert)) news.push(alert)
    if (news.length === 0) return 0
    toldAt = toldAt.filter((at) => now() - at < HOUR_MS)
    if (toldAt.length >= perHourMax) {
      for (const alert of news) if (heldBack.size < HELD_BACK_MAX) heldBack.add(keyOf(alert, alert.status))
      log.warn({ held_back: heldBack.size }, 'alerts are not told, because there were too many within the hour')
      return 0
    }
    for (const alert of news) heldBack.delete(keyOf(alert, alert.status))
    const text = textOf(news, { heldBack: heldBack.size, more })
    const outcomes = await Promise.allSettled(admins.map(async (admin) => await sayTo(admin, text, idOf(admin, news))))
    const faults = outcomes.flatMap((outcome) => outcome.status === 'rejected' ? [outcome.reason as unknown] : [])
    if (faults.length === admins.length) throw faults[0]
    if (faults.length > 0) log.warn({ unreached: faults.length }, 'not every admin could be told of an alert')
    toldAt.push(now())
    heldBack.clear()
    for (const alert of news) await sent.create(keyOf(alert, alert.status), '')
    log.info({ alerts: news.length, admins: outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value).length }, 'admins are told of alerts')
    return news.length
  }

  /** Whether the admin has it. What WhatsApp refuses is not tried again: each further try would count against the account. */
  async function sayTo (admin: string, text: string, id: string): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      try {
        const to = await numbers.addressee(admin)
        const result = to && await sender.send(to, text, id)
        if (result?.kind === 'accepted') return true
        const code = result ? meaningOf(result.error) : 'WHATSAPP_NOT_REGISTERED'
        if (code !== 'again') {
          log.warn({ code }, 'an admin cannot be told of an alert')
          return false
        }
        if (tries >= TRIES_MAX) throw transient('WHATSAPP_SEND_REFUSED', 'WhatsApp refused a message for now')
      } catch (error) {
        if (!(error instanceof Fault) || tries >= TRIES_MAX) throw error
      }
    }
  }

  return async (notice) => {
    if (admins.length === 0) return 0
    if (inTurn.pendingCount >= WAITING_MAX) throw transient('WHATSAPP_BUSY', 'too many alerts are waiting to be told')
    return await inTurn(async () => await tell(notice))
  }
}

/** In the form of those that the library makes (`generateMessageIDV2`). */
function idOf (admin: string, alerts: readonly Alert[]): string {
  const about = [admin, ...alerts.map((alert) => keyOf(alert, alert.status)).toSorted()].join()
  return `3EB0${createHash('sha256').update(about).digest('hex').toUpperCase().slice(0, 18)}`
}
