// The bot beside a group as large as WhatsApp has them, and larger: somebody leaves, and how long until that is on its stream; and fifty logins at the pace at which it sends.
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { secretOf } from '../../deploy/secrets/catalogue.ts'
import { openDirectory } from '../../deploy/secrets/directory.ts'
import { connectNats } from '../../services/common/connect.ts'
import { createMembership } from '../../services/common/membership.ts'
import { pagesOf } from '../../services/common/page.ts'
import { chats, numberOf, waJidOf } from '../../services/test/crowd.ts'
import { put, until } from '../../services/test/journey.ts'
import { atLeast, atMost, type Bench, type Figure } from './bench.ts'
import { atRate, visitorsOf, withSystem } from './crowd.ts'
import { QUICK_PANEL } from './pipeline.ts'
import { median } from './statistics.ts'

const SIZES = [1_024, 5_000]
const LEAVES = 20
const LOGINS = 50
const SEND_GAP_MS = 1_500
/** What the bot waits for on purpose, so that a burst of notices is one reading. */
const NO_WAITS = { ROSTER_DEBOUNCE_MS: '0', ROSTER_GAP_MS: '0', ROSTER_EVERY_MS: '3600000' }

async function announced (directory: string, size: number, leaves: number): Promise<{ tookMs: number[], readMs: number[] }> {
  return await withSystem({ directory, members: size, env: { bot: NO_WAITS } }, async (system) => {
    const connection = await connectNats(system.nats.access('operator'), 'operator')
    const jsm = await jetstreamManager(connection)
    const membership = createMembership(system.botUrl, openDirectory(system.secretsDirectory).text(secretOf('INTERNAL_SECRET').file))
    const [tookMs, readMs] = [[] as number[], [] as number[]]
    for (let n = 1; n <= leaves; n++) {
      const from = performance.now()
      await membership.check(waJidOf(size), { live: true })
      readMs.push(performance.now() - from)
      const left = Date.now()
      await put(`${system.whatsappUrl}/people/${numberOf(n)}/leave`, 'POST', {})
      const at = await until('the leave is announced', async () => {
        const { messages } = await pagesOf(jsm, 'MEMBERS', { from: 1, filter: 'members.*.left', size: 100, max: 1_000 })
        return messages.length >= n ? messages.at(-1)?.time.getTime() : undefined
      }, { everyMs: 10 })
      tookMs.push(at - left)
    }
    await membership.close()
    await connection.close()
    return { tookMs, readMs }
  })
}

/** From the first message to the last, in milliseconds. */
async function timeOfLogins (directory: string, count: number): Promise<number> {
  return await withSystem({ directory, members: count, env: { bot: { SEND_GAP_MS: String(SEND_GAP_MS) }, panel: QUICK_PANEL } }, async (system) => {
    const visitors = visitorsOf(system)
    await atRate(count, 50, async (n) => { await visitors.claim(n + 1) })
    await visitors.close()
    const messages = await until('every login has come', async () => {
      const all = [...(await chats(system)).values()].map((chat) => chat.filter(({ from }) => from === 'bot').map(({ at }) => at))
      return all.filter((times) => times.length >= 2).length === count ? all.flat().toSorted((one, two) => one - two) : undefined
    }, { everyMs: 1_000, waitMs: 10 * 60_000 })
    return (messages.at(-1) ?? NaN) - (messages[0] ?? NaN)
  })
}

export const bot: Bench = {
  name: 'bot', summary: 'a leave announced from a group of 1,024 and of 5,000; 50 logins at the pace of sending', isSlow: true,
  run: async ({ directory, some }) => {
    const figures: Figure[] = []
    for (const size of SIZES) {
      const { tookMs, readMs } = await announced(join(directory, String(size)), size, some(LEAVES))
      figures.push({ what: `bot, a leave from a group of ${size.toLocaleString('en-US')}: from WhatsApp to the stream, median`, unit: 'ms', value: median(tookMs), floor: { what: 'one live reading of the group', value: median(readMs) }, goal: atMost(100) })
    }
    const logins = some(LOGINS)
    const allMs = await timeOfLogins(join(directory, 'logins'), logins)
    figures.push(
      { what: 'bot, 50 logins of two messages each, in all', unit: 's', value: allMs / 1_000, floor: { what: `a new chat every ${SEND_GAP_MS} ms`, value: (logins - 1) * SEND_GAP_MS / 1_000 }, goal: atLeast(1, 'ratio') },
    )
    return figures
  },
}
