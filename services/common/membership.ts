import { Type } from 'typebox'
import { Agent, request } from 'undici'
import { CHECK_MEMBER_PATH, CheckMemberAnswer, INTERNAL_SECRET_HEADER } from '../../contracts/http.ts'
import { validatorOf } from './envelope.ts'
import { transient } from './fault.ts'
import { calling, traceparent } from './tracing.ts'

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

/** Addresses of bots, by comma. Of several one holds the session, and the others stand by. */
export const BotUrls = Type.String({ pattern: '^https?://[^\\s,;]+( *, *https?://[^\\s,;]+){0,3}$' })

export const botsOf = (urls: string): readonly [string, ...string[]] => urls.split(',').map((url) => url.trim()) as [string, ...string[]]

/** `botUrls` are `BotUrls`. Bots are asked one after another until one knows, beginning with the one that knew last: who stands by says `unknown` of everybody. */
export function createMembership (botUrls: string, internalSecret: string): Membership {
  const bots = botsOf(botUrls)
  let knowing = 0
  const dispatcher = new Agent({ connections: 16, connect: { timeout: 2_000 }, maxResponseSize: 16_384 })

  async function ask (bot: string, waJid: string, live: boolean): Promise<CheckMemberAnswer> {
    let answer: unknown
    try {
      answer = await calling('POST', CHECK_MEMBER_PATH, async () => {
        const trace = traceparent()
        const { statusCode, body } = await request(new URL(CHECK_MEMBER_PATH, bot), {
          method: 'POST', dispatcher, signal: AbortSignal.timeout(live ? LIVE_TIMEOUT_MS : TIMEOUT_MS),
          headers: { 'content-type': 'application/json', [INTERNAL_SECRET_HEADER]: internalSecret, ...(trace !== undefined && { traceparent: trace }) },
          body: JSON.stringify({ wa_jid: waJid, live }),
        })
        if (statusCode !== 200) {
          await body.dump()
          throw new Error(`status ${statusCode}`)
        }
        return await body.json()
      })
    } catch (error) {
      throw transient('BOT_AWAY', 'the bot did not say who is in the group', { cause: error })
    }
    if (!validatorOf(CheckMemberAnswer).Check(answer)) throw transient('BOT_AWAY', 'the bot gave an answer that is none')
    return answer as CheckMemberAnswer
  }

  return {
    check: async (waJid, { live = false } = {}) => {
      const first = knowing
      let unknown: CheckMemberAnswer | undefined
      let away: unknown
      for (let turn = 0; turn < bots.length; turn++) {
        const at = (first + turn) % bots.length
        try {
          const answer = await ask(bots[at] ?? bots[0], waJid, live)
          if (answer.membership !== 'unknown') {
            knowing = at
            return answer
          }
          unknown ??= answer
        } catch (error) {
          away = error
        }
      }
      if (unknown) return unknown
      throw away
    },
    close: async () => { await dispatcher.close() },
  }
}
