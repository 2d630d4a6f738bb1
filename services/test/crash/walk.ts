// One member's whole way, by somebody who tries again where a door is closed, and what must have come of it in the end.
import { randomUUID } from 'node:crypto'
import type { System } from '../../../deploy/staging/system.ts'
import { numberOf, waJidOf } from '../crowd.ts'
import { actor, panelState, PASSWORD, until, type Message } from '../journey.ts'

/** Longer than the longest delay between two tries of a message, 5 minutes. */
const STEP_MS_MAX = 600_000
/** Somebody who wrote to the bot and heard nothing writes again. */
const ASK_AGAIN_MS = 15_000

export const STEPS = ['claim', 'ask', 'leave', 'leave for good'] as const
export type Step = typeof STEPS[number]

export interface WalkOptions {
  readonly graceMs: number
  /** Epoch milliseconds: a walk that has not come to its end by then has failed. */
  readonly endsBy?: number
  /** Awaited before each step. */
  readonly before?: (step: Step) => Promise<void>
}
export interface Walk { readonly problems: readonly string[], /** Came back in time. */ readonly isBack: boolean }

const textsOf = (chat: readonly Message[]): string[] => chat.filter(({ from }) => from === 'bot').map(({ text }) => text)

/** Claim, login, `STATUS`, a new password, leave, warning, return, cancellation, leave, deletion, and back in the group. Answers what is not as it must be, in words. */
export async function walk (system: System, member: number, { graceMs, endsBy = Infinity, before = async () => {} }: WalkOptions): Promise<Walk> {
  const problems: string[] = []
  const person = actor(system, numberOf(member))
  const expect = (isSo: boolean, words: string): void => { if (!isSo) problems.push(`member ${member}: ${words}`) }
  const eventually = async <Seen>(what: string, look: () => Promise<Seen | undefined>): Promise<Seen> =>
    await until(`member ${member}: ${what}`, look, { waitMs: Math.min(STEP_MS_MAX, endsBy - Date.now()), everyMs: 400 })
  const earlier = await eventually('the chat can be read', person.chat)
  const known = textsOf(earlier).length
  // What was written on an earlier walk may be answered only now: then a new login may come instead of the first one, or soon after it.
  const hasAsked = earlier.some(({ from, text }) => from === 'member' && text === 'SANDI')
  const texts = async (): Promise<string[]> => textsOf(await person.chat()).slice(known)
  const says = async (what: string, words: RegExp): Promise<void> => { await eventually(what, async () => (await texts()).some((text) => words.test(text)) ? true : undefined) }

  await before('claim')
  const key = randomUUID()
  const claimId = await eventually('the claim is accepted', async () => {
    const { status, body } = await person.claim({ 'idempotency-key': key })
    return status === 202 ? body.claim_id : undefined
  })
  const becomes = async (wanted: string): Promise<void> => {
    await eventually(`claim ${claimId} is ${wanted}`, async () => {
      const { status } = await person.progress(claimId)
      return status === wanted ? true : status === 'failed' ? Promise.reject(new Error('it failed')) : undefined
    })
  }

  await becomes('active')
  await says('the login arrives', PASSWORD)
  const passwords = async (): Promise<string[]> => (await texts()).filter((text) => PASSWORD.test(text))
  const opens = async (): Promise<boolean> => await person.logsIn(/Nama pengguna: (\S+)/.exec((await texts()).join('\n'))?.[1] ?? '', (await passwords()).at(-1) ?? '')
  expect(hasAsked || await opens(), `the login of ${claimId} does not open the panel`)
  const { servers, users } = await panelState(system)
  const mine = servers.filter(({ externalId }) => externalId === claimId)
  expect(mine.length === 1 && mine[0]?.status === null && mine[0].listens, `${mine.length} servers for ${claimId}, or one that does not answer`)
  expect(users.filter(({ externalId }) => externalId === waJidOf(member)).length === 1, 'not one user')

  await before('ask')
  const spoken = (await texts()).length
  await asked('STATUS', async () => (await texts()).length > spoken)
  const sent = (await passwords()).length
  // A password that was set and not sent is made good by asking again.
  await asked('SANDI', async () => (await passwords()).length > sent && await opens())

  await before('leave')
  const leftAt = Date.now()
  await eventually('the leave', person.leave)
  // Where everything is slow the warning may come too late for a return, or not at all.
  const isLate = await eventually('the warning arrives', async () => (await texts()).some((text) => /akan dihapus/.test(text)) ? false : await isDeleted() ? true : undefined)
  await eventually('the return', person.join)
  const isBack = !isLate && await eventually('the cancellation arrives', async () => (await texts()).some((text) => /dibatalkan karena/.test(text)) ? true : await isDeleted() ? false : undefined)
  if (isBack) {
    await becomes('active')
    await before('leave for good')
    await eventually('the second leave', person.leave)
  } else if (Date.now() < leftAt + graceMs) problems.push(`member ${member}: the server of ${claimId} went before its time`)
  await eventually(`the server of ${claimId} is gone`, async () => (await panelState(system)).servers.some(({ externalId }) => externalId === claimId) ? undefined : true)
  await says('the farewell arrives', /sudah dihapus/)
  await becomes('deleted')

  const all = await texts()
  const count = (words: RegExp): number => all.filter((text) => words.test(text)).length
  const [logins, warnings, ...counts] = [count(/siap!/), count(/akan dihapus/), count(/dibatalkan karena/), count(/sudah dihapus/)]
  // A login that could only have come after a newer one is not sent, nor is a warning when it is no longer true.
  expect(logins === 1 || (hasAsked && logins === 0), `the login came ${logins} times`)
  expect(counts.join() === (isBack ? '1,1' : '0,1') && warnings <= (isBack ? 2 : 1) && warnings >= (isBack ? 1 : 0), `cancellations, farewells came ${counts.join()} times, warnings ${warnings}`)
  expect(all.findIndex((text) => /siap!/.test(text)) <= all.findIndex((text) => /login panel kamu yang baru/.test(text)), 'the login came after a newer one')
  const came = await passwords()
  expect(new Set(came).size === came.length, 'a password came twice')
  expect((await panelState(system)).users.every(({ externalId }) => externalId !== waJidOf(member)), 'the user has outlived the server')
  await eventually('the return to the group', person.join)
  return { problems, isBack }

  async function isDeleted (): Promise<boolean> {
    return (await person.progress(claimId)).status === 'deleted'
  }

  async function asked (word: string, isAnswered: () => Promise<boolean>): Promise<void> {
    let askedAt = 0
    await eventually(`${word} is answered`, async () => {
      if (await isAnswered()) return true
      if (Date.now() - askedAt > ASK_AGAIN_MS) {
        await person.write(word)
        askedAt = Date.now()
      }
      return undefined
    })
  }
}
