import t, { type Test } from 'tap'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { CheckMemberAnswer } from '../../../contracts/http.ts'
import { loadConfig } from '../config.ts'
import { BotUrls, createMembership } from '../membership.ts'
import { Type } from 'typebox'

const SOMEBODY = '6281200000001@s.whatsapp.net'

/** A bot's internal port. `knows` is what it says of everybody; null: it answers 500. */
async function startDoor (t: Test, knows: CheckMemberAnswer['membership'] | null) {
  const door = { knows, asked: 0, url: '' }
  const server = createServer((_, response) => {
    door.asked++
    if (door.knows === null) response.writeHead(500).end()
    else response.setHeader('content-type', 'application/json').end(JSON.stringify({ membership: door.knows, member_id: 'a'.repeat(20), wa_jid: SOMEBODY, seen_at: null }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  door.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return door
}

t.test('of several bots the one is believed that knows', async (t) => {
  const [first, second] = [await startDoor(t, 'unknown'), await startDoor(t, 'present')]
  const membership = createMembership(`${first.url}, ${second.url}`, 's'.repeat(32))
  t.teardown(() => membership.close())
  const told = async (): Promise<string> => (await membership.check(SOMEBODY)).membership
  const asked = (): [number, number] => [first.asked, second.asked]

  t.equal(await told(), 'present', 'who stands by is passed over')
  t.same(asked(), [1, 1])
  t.equal(await told(), 'present')
  t.same(asked(), [1, 2], 'and not asked again while the other knows')

  Object.assign(first, { knows: 'absent' })
  Object.assign(second, { knows: null })
  t.equal(await told(), 'absent', 'one that fails is passed over')
  t.equal(await told(), 'absent')
  t.same(asked(), [3, 3], 'and then left alone')

  Object.assign(first, { knows: 'unknown' })
  t.equal(await told(), 'unknown', 'where none knows nobody is absent')
  Object.assign(first, { knows: null })
  await t.rejects(membership.check(SOMEBODY), { code: 'BOT_AWAY', kind: 'transient' }, 'and where none answers nothing is known either')
})

t.test('addresses of bots', async (t) => {
  const read = (BOT_URL: string): unknown => loadConfig(Type.Object({ BOT_URL: BotUrls }), { BOT_URL })
  for (const good of ['http://bot:8085', 'http://bot:8085,http://bot-2:8085', 'http://bot:8085 , https://bot-2:8085']) t.doesNotThrow(() => read(good), good)
  for (const bad of ['bot:8085', 'http://bot:8085,', 'http://bot:8085;http://bot-2:8085', 'http://bot:8085,bot-2']) t.throws(() => read(bad), /BOT_URL/, bad)
})
