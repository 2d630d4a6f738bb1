// One member's whole way, by somebody who tries again where a door is closed, and what must have come of it in the end.
import { randomUUID } from 'node:crypto'
import type { System } from '../../../deploy/staging/system.ts'
import { numberOf, waJidOf } from '../crowd.ts'
import { actor, panelState, until, type Message } from '../journey.ts'

const WAIT = { waitMs: 240_000, everyMs: 400 }
/** Somebody who wrote to the bot and heard nothing writes again. */
const ASK_AGAIN_MS = 6_000
const PASSWORD = /^\S{32}$/

const textsOf = (chat: readonly Message[]): string[] => chat.filter(({ from }) => from === 'bot').map(({ text }) => text)

/** Claim, login, `STATUS`, a new password, leave, warning, return, cancellation, leave, deletion, and back in the group. Answers what is not as it must be, in words. */
export async function walk (system: System, member: number): Promise<string[]> {
  const problems: string[] = []
  const person = actor(system, numberOf(member))
  const expect = (isSo: boolean, words: string): void => { if (!isSo) problems.push(`member ${member}: ${words}`) }
  const before = textsOf(await until('the chat can be read', person.chat, WAIT)).length
  const texts = async (): Promise<string[]> => textsOf(await person.chat()).slice(before)
  const says = async (what: string, words: RegExp): Promise<void> => { await until(`member ${member}: ${what}`, async () => (await texts()).some((text) => words.test(text)) ? true : undefined, WAIT) }

  const key = randomUUID()
  const claimId = await until(`member ${member}: the claim is accepted`, async () => {
    const { status, body } = await person.claim({ 'idempotency-key': key })
    return status === 202 ? body.claim_id : undefined
  }, WAIT)
  const becomes = async (wanted: string): Promise<void> => {
    await until(`member ${member}: claim ${claimId} is ${wanted}`, async () => {
      const { status } = await person.progress(claimId)
      return status === wanted ? true : status === 'failed' ? Promise.reject(new Error('it failed')) : undefined
    }, WAIT)
  }

  await becomes('active')
  await says('the login arrives', PASSWORD)
  const login = await texts()
  const username = /Nama pengguna: (\S+)/.exec(login.join('\n'))?.[1] ?? ''
  expect(await person.logsIn(username, login.find((text) => PASSWORD.test(text)) ?? ''), `the login of ${claimId} does not open the panel`)
  const { servers, users } = await panelState(system)
  const mine = servers.filter(({ externalId }) => externalId === claimId)
  expect(mine.length === 1 && mine[0]?.status === null && mine[0].listens, `${mine.length} servers for ${claimId}, or one that does not answer`)
  expect(users.filter(({ externalId }) => externalId === waJidOf(member)).length === 1, 'not one user')

  await asked('STATUS', async () => textsOf(await person.chat()).length > before + login.length)
  const known = (await texts()).filter((text) => PASSWORD.test(text)).length
  // A password that was set and not sent is made good by asking again.
  await asked('SANDI', async () => (await texts()).filter((text) => PASSWORD.test(text)).length > known)
  const newest = (await texts()).findLast((text) => PASSWORD.test(text)) ?? ''
  expect(await person.logsIn(username, newest), `the new password of ${claimId} does not open the panel`)

  await until('the leave', person.leave, WAIT)
  await says('the warning arrives', /akan dihapus/)
  await becomes('deleting')
  await until('the return', person.join, WAIT)
  await says('the cancellation arrives', /dibatalkan karena/)
  await becomes('active')
  await until('the second leave', person.leave, WAIT)
  await until(`member ${member}: the server of ${claimId} is gone`, async () => (await panelState(system)).servers.some(({ externalId }) => externalId === claimId) ? undefined : true, WAIT)
  await says('the farewell arrives', /sudah dihapus/)
  await becomes('deleted')

  const all = await texts()
  const count = (words: RegExp): number => all.filter((text) => words.test(text)).length
  const counts = [count(/siap!/), count(/akan dihapus/), count(/dibatalkan karena/), count(/sudah dihapus/)]
  expect(counts.join() === '1,2,1,1', `logins, warnings, cancellations, farewells came ${counts.join()} times`)
  const passwords = all.filter((text) => PASSWORD.test(text))
  expect(new Set(passwords).size === passwords.length, 'a password came twice')
  expect((await panelState(system)).users.every(({ externalId }) => externalId !== waJidOf(member)), 'the user has outlived the server')
  await until('the return to the group', person.join, WAIT)
  return problems

  async function asked (word: string, isAnswered: () => Promise<boolean>): Promise<void> {
    let askedAt = 0
    await until(`member ${member}: ${word} is answered`, async () => {
      if (await isAnswered()) return true
      if (Date.now() - askedAt > ASK_AGAIN_MS) {
        await person.write(word)
        askedAt = Date.now()
      }
      return undefined
    }, WAIT)
  }
}
