// "Is this number in the group?" The answer decides about servers, so it is `unknown` whenever it is not certain.
import type { Static } from 'typebox'
import type { CheckMemberAnswer, CheckMemberQuestion } from '../../contracts/http.ts'
import { codeOf, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import type { Announcer } from './announcer.ts'
import { isReliable, membershipIn, NOTHING_BELIEVED } from './belief.ts'
import type { BotMetrics } from './metrics.ts'
import type { Numbers } from './numbers.ts'
import type { RosterReader } from './roster-reader.ts'
import { hasUnnamed, type Membership } from './roster.ts'

export type MembershipCheck = (question: Static<typeof CheckMemberQuestion>) => Promise<CheckMemberAnswer>

export interface MembershipCheckOptions {
  /** Null while another bot holds the session. */
  readonly announcer: () => Announcer | null
  readonly reader: () => RosterReader | null
  readonly numbers: Numbers
  readonly memberIdOf: (waJid: string) => string
  readonly ageMsMax: number
  /** A caller of a live check gives up after 20 s. */
  readonly liveMsMax: number
  readonly log: Log
  readonly metrics: BotMetrics
}

/** A negative answer from an older roster is looked at once more, for a caller who waits 5 s: twice a minute at most. */
const doubtMs = 30_000
const hastyMsMax = 2_500

export function createMembershipCheck ({ announcer, reader, numbers, memberIdOf, ageMsMax, liveMsMax, log, metrics }: MembershipCheckOptions): MembershipCheck {
  const belief = () => announcer()?.belief() ?? NOTHING_BELIEVED
  const at = (phone: string, lid?: string): Membership => membershipIn(belief(), { phone, ...(lid === undefined ? {} : { lid }) }, Date.now(), ageMsMax)

  async function check (dialled: string, isLive: boolean): Promise<{ membership: Membership, phone: string }> {
    if (isLive) await readAnew()
    if (at(dialled) === 'present') return { membership: 'present', phone: dialled }
    // Somebody who has joined just now should not be told that they have not.
    if (!isLive && Date.now() - (belief().seenAt ?? 0) > doubtMs) await readAnew(hastyMsMax).catch(() => {})
    if (!isReliable(belief(), Date.now(), ageMsMax)) return { membership: 'unknown', phone: dialled }
    const phone = await numbers.canonical(dialled)
    // "Not on WhatsApp" is not proof enough for a deletion while somebody in the group hides the number.
    if (phone === null) return { membership: isLive && hasUnnamed(belief().roster ?? { people: [] }) ? 'unknown' : 'absent', phone: dialled }
    if (at(phone) !== 'unknown') return { membership: at(phone), phone }
    const lid = await numbers.lidOf(phone, isLive)
    if (lid === null) return { membership: 'unknown', phone }
    const membership = at(phone, lid)
    // Kept, so that this member's leaving can be told later, when nobody could ask any more.
    if (membership === 'present') await announcer()?.learn({ phone, lid })
    return { membership, phone }
  }

  async function readAnew (msMax = liveMsMax): Promise<void> {
    const current = reader()
    if (!current) throw transient('WHATSAPP_CLOSED', 'not connected to WhatsApp')
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(transient('WHATSAPP_NO_ANSWER', 'the group was not read in time')) }, msMax) })
    const reading = current.readAnew()
    reading.catch(() => {})
    await Promise.race([reading, late]).finally(() => { clearTimeout(timer) })
  }

  return async ({ wa_jid, live = false }) => {
    const dialled = wa_jid.slice(0, wa_jid.indexOf('@'))
    let found: { membership: Membership, phone: string } = { membership: 'unknown', phone: dialled }
    try {
      found = await check(dialled, live)
    } catch (error) {
      log.warn({ code: codeOf(error), live, err: error }, 'membership cannot be told')
    }
    metrics.checks.inc({ membership: found.membership })
    const canonical = `${found.phone}@s.whatsapp.net`
    const { seenAt } = belief()
    return { membership: found.membership, member_id: memberIdOf(canonical), wa_jid: canonical, seen_at: seenAt === null ? null : new Date(seenAt).toISOString() }
  }
}
