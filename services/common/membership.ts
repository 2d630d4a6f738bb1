import { Agent, request } from 'undici'
import { CHECK_MEMBER_PATH, CheckMemberAnswer, INTERNAL_SECRET_HEADER } from '../../contracts/http.ts'
import { validatorOf } from './envelope.ts'
import { transient } from './fault.ts'

export interface Membership {
  /**
   * Asks the bot whether a number is in the group. `live` reads the roster from WhatsApp again. `unknown` is an answer: the bot is up but
   * cannot tell. Transient Fault BOT_AWAY where the bot does not answer properly; nobody may take that for `absent`.
   */
  check (waJid: string, options?: { live?: boolean }): Promise<CheckMemberAnswer>
  close (): Promise<void>
}

const TIMEOUT_MS = 5_000
/** A live answer waits for WhatsApp. */
const LIVE_TIMEOUT_MS = 20_000

export function createMembership (botUrl: string, internalSecret: string): Membership {
  const dispatcher = new Agent({ connections: 16, connect: { timeout: 2_000 }, maxResponseSize: 16_384 })
  return {
    check: async (waJid, { live = false } = {}) => {
      const timeoutMs = live ? LIVE_TIMEOUT_MS : TIMEOUT_MS
      let answer: unknown
      try {
        const { statusCode, body } = await request(new URL(CHECK_MEMBER_PATH, botUrl), {
          method: 'POST', dispatcher, signal: AbortSignal.timeout(timeoutMs),
          headers: { 'content-type': 'application/json', [INTERNAL_SECRET_HEADER]: internalSecret },
          body: JSON.stringify({ wa_jid: waJid, live }),
        })
        if (statusCode !== 200) {
          await body.dump()
          throw new Error(`status ${statusCode}`)
        }
        answer = await body.json()
      } catch (error) {
        throw transient('BOT_AWAY', 'the bot did not say who is in the group', { cause: error })
      }
      if (!validatorOf(CheckMemberAnswer).Check(answer)) throw transient('BOT_AWAY', 'the bot gave an answer that is none')
      return answer as CheckMemberAnswer
    },
    close: async () => { await dispatcher.close() },
  }
}
