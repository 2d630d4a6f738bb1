// Who is in the group is told by the answer to an attempt, which the limits count, and by nothing else: neither by what is cheaper nor by how long it takes.
import t, { type Test } from 'tap'
import type { App } from '../gateway.ts'
import { CLAIM_ID, FORM, startWorld } from './world.ts'

const world = await startWorld(t)
const { bot, store } = world
const MEMBER = '0812 0000 0001'
const STRANGER = '0812 0000 0002'
const now = () => new Date('2026-11-24T02:30:00.000Z')

t.beforeEach(() => {
  bot.asked.length = store.asked.length = 0
  bot.answer = (waJid) => ({ membership: waJid.startsWith('6281200000001') ? 'present' : 'absent' })
  store.create = ({ claim_id }) => ({ ok: true, claim_id })
})

interface Asked { readonly method?: 'GET' | 'POST' | 'OPTIONS' | 'PUT', readonly url: string, readonly payload?: unknown, readonly headers?: Record<string, string> }
const claim = (wa_number_e164: string, fields: object = {}): Asked => ({ method: 'POST', url: '/api/claim', payload: { ...FORM, wa_number_e164, ...fields } })
const form = (wa_number_e164: string, fields: object = {}): Asked =>
  ({ method: 'POST', url: '/', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: new URLSearchParams({ ...FORM, wa_number_e164, idempotency_key: 'a-key-of-this-tap', ...fields }).toString() })

/** All that a caller can see of an answer, without what is new each time and without their own number. */
async function seen (app: App, asked: Asked): Promise<unknown> {
  const { statusCode, headers, body } = await app.inject(asked as object)
  const { 'x-request-id': _id, date: _date, 'content-length': _length, ...rest } = headers
  return { statusCode, headers: rest, body: body.replaceAll(MEMBER, 'N').replaceAll(STRANGER, 'N') }
}
async function isTheSame (t: Test, app: App, asked: (number: string) => Asked, why: string): Promise<void> {
  t.same(await seen(app, asked(MEMBER)), await seen(app, asked(STRANGER)), why)
}

t.test('an answer that no attempt was spent on', async (t) => {
  const app = await world.app(t, {}, { now })
  const kinds: ReadonlyArray<readonly [string, (number: string) => Asked]> = [
    ['a wrong name', (number) => claim(number, { username: '<' })],
    ['a wrong offer', (number) => claim(number, { template: 'unheard-of' })],
    ['a wrong password', (number) => claim(number, { password: 'short' })],
    ['a wrong key', (number) => ({ ...claim(number), headers: { 'idempotency-key': 'short' } })],
    ['too large', (number) => claim(number, { username: 'x'.repeat(20_000) })],
    ['another type', (number) => ({ ...claim(number), payload: number, headers: { 'content-type': 'text/plain' } })],
    ['another method', (number) => ({ ...claim(number), method: 'PUT' })],
    ['a preflight', (number) => ({ url: `/api/claim?wa_number_e164=${encodeURIComponent(number)}`, method: 'OPTIONS' })],
    ['a wrong form', (number) => form(number, { username: '<' })],
    ['a form of an offer that is not there', (number) => form(number, { template: 'unheard-of' })],
    ['the number as an id', (number) => ({ url: `/api/claim/${encodeURIComponent(number)}/status` })],
    ['the number as a page', (number) => ({ url: `/claim/${encodeURIComponent(number)}` })],
  ]
  for (const [name, asked] of kinds) await isTheSame(t, app, asked, `${name} is the same for a member and a stranger`)
  t.same([bot.asked, store.asked], [[], []], 'and nobody was asked, so that the time it takes tells nothing either')
})

t.test('who is limited learns nothing', async (t) => {
  for (const [limit, asked] of [['RATE_LIMIT_JID_PER_MINUTE', claim], ['RATE_LIMIT_IP_PER_MINUTE', claim], ['RATE_LIMIT_JID_PER_MINUTE', form], ['RATE_LIMIT_IP_PER_MINUTE', form]] as const) {
    const told: unknown[] = []
    for (const number of [MEMBER, STRANGER]) {
      // A gateway of its own for each, which counts nothing of the other.
      const app = await world.app(t, { [limit]: 2 }, { now })
      const statuses = [await app.inject(asked(number) as object), await app.inject(asked(number) as object)].map(({ statusCode }) => statusCode)
      t.notOk(statuses.includes(429), 'attempts of members and of strangers are spent alike')
      const before = bot.asked.length
      const { statusCode, headers, body } = await app.inject(asked(number) as object)
      t.equal(statusCode, 429)
      t.equal(bot.asked.length, before, 'and the limit is looked at before the group')
      // When to come again depends on the number's and the address's place in the minute, not on the group.
      told.push([Object.keys(headers).toSorted(), body.replaceAll(number, 'N').replace(/"retry_after":\d+|\d+ detik/g, 'S')])
    }
    t.same(told[0], told[1], `${limit} says the same to both`)
  }
})

t.test('a bot that is away is away for both', async (t) => {
  const app = await world.app(t, {}, { now })
  bot.answer = () => 503
  await isTheSame(t, app, claim, 'by the API')
  await isTheSame(t, app, form, 'and by the form')
})

t.test('an attempt tells whether the number may claim, and no more', async (t) => {
  const app = await world.app(t, {}, { now })
  const attempt = async (number: string) => await app.inject(claim(number) as object)
  const [accepted, refused] = [await attempt(MEMBER), await attempt(STRANGER)]
  store.create = () => ({ ok: false, rejection: 'ALREADY_CLAIMED', claim_id: CLAIM_ID })
  const again = await attempt(MEMBER)
  t.same([accepted.statusCode, refused.statusCode, again.statusCode], [202, 403, 409])
  t.same(Object.keys(refused.json<{ error: object }>().error), ['code', 'message'])
  t.same(Object.keys(again.json<{ error: object }>().error), ['code', 'message', 'claim_id'])
  const names = (headers: object): string[] => Object.keys(headers).filter((name) => !['location', 'retry-after', 'content-language'].includes(name)).toSorted()
  t.same(names(accepted.headers), names(refused.headers), 'in the same headers')
  t.same(refused.headers['cache-control'], 'no-store')
  t.equal(store.asked.length, 2, 'a stranger never reaches the claim store')
  for (const { body } of [accepted, refused, again]) t.notMatch(body, /seen_at|member_id|whatsapp\.net|present|absent/)
})
