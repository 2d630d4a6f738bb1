// Whether the login of a claim has arrived: in the chat, where that can be read, and otherwise by the bot's word that WhatsApp took it.
import type { Static } from 'typebox'
import { messageDelivered, messageUndeliverable } from '../../contracts/events/messages.ts'
import type { Bus } from '../../services/common/bus.ts'
import { noticeIds } from '../../services/notifier/wording.ts'
import { CanaryFailure } from './failure.ts'
import type { Settings } from './settings.ts'

const ANSWER_MS_MAX = 5_000
/** The password stands in a chat message of its own. */
const PASSWORD = /^\S{32}$/

export interface LoginWatch {
  /** True once it is there. Throws CANARY_LOGIN_UNDELIVERABLE where it will not come. */
  hasArrived (claimId: string): Promise<boolean>
}

/** Begins to watch: what stands in the chat already is not what is waited for. */
export async function watchLogin (bus: Pick<Bus, 'last'>, { CANARY_WHATSAPP_URL: whatsapp, CANARY_NUMBER: number }: Settings, signal: AbortSignal): Promise<LoginWatch> {
  const logins = async (): Promise<number> => {
    const answer = await fetch(`${(whatsapp ?? '').replace(/\/$/, '')}/people/${number}`, { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]) })
    const { chat } = await answer.json() as { chat: ReadonlyArray<{ from: string, text: string }> }
    return chat.filter(({ from, text }) => from === 'bot' && PASSWORD.test(text)).length
  }
  const before = whatsapp === undefined ? 0 : await logins().catch(() => { throw new CanaryFailure('CANARY_LOGIN_MISSING', 'CANARY_WHATSAPP_URL') })
  return {
    hasArrived: async (claimId) => {
      const id = noticeIds.login(claimId)
      const refused = await bus.last('MESSAGES', `messages.undeliverable.${id}`, [messageUndeliverable])
      if (refused) throw new CanaryFailure('CANARY_LOGIN_UNDELIVERABLE', (refused.event.data as Static<typeof messageUndeliverable.data>).code)
      if (!await bus.last('MESSAGES', `messages.delivered.${id}`, [messageDelivered])) return false
      return whatsapp === undefined || await logins() > before
    },
  }
}
