import t, { type Test } from 'tap'
import { createHash } from 'node:crypto'
import { HTTP_CODES, type HttpCode } from '../../../contracts/codes.ts'
import { ErrorBody } from '../../../contracts/http.ts'
import type { Language } from '../../../contracts/ids.ts'
import { problemsOf, validatorOf } from '../../common/envelope.ts'
import type { App } from '../gateway.ts'
import { CLAIM_ID, FORM, JID, OTHER_CLAIM_ID, SECRET, startWorld } from './world.ts'

const world = await startWorld(t)
const { bot, store } = world
t.beforeEach(() => {
  bot.asked.length = store.asked.length = 0
  bot.answer = () => ({})
  store.create = ({ claim_id }) => ({ ok: true, claim_id })
})

const post = async (app: App, payload: unknown = FORM, headers: Record<string, string> = {}) =>
  await app.inject({ method: 'POST', url: '/api/claim', payload: payload as object, headers })
const errorOf = (response: { json: () => unknown }) => (response.json() as ErrorBody).error

/** One refusal in both languages: status, shape, code, words. */
async function isRefused (t: Test, ask: (headers: Record<string, string>) => Promise<Awaited<ReturnType<App['inject']>>>, code: HttpCode, details: object = {}): Promise<void> {
  const words: string[] = []
  for (const language of ['id', 'en'] satisfies Language[]) {
    const response = await ask({ 'accept-language': language })
    t.equal(response.statusCode, HTTP_CODES[code], `${code} is ${HTTP_CODES[code]}`)
    t.ok(validatorOf(ErrorBody).Check(response.json()), `in the one shape ${problemsOf(ErrorBody, response.json())}`)
    t.match(errorOf(response), { code, ...details })
    t.equal(response.headers['content-language'], language)
    t.equal(response.headers['retry-after'], errorOf(response).retry_after === undefined ? undefined : String(errorOf(response).retry_after))
    words.push(errorOf(response).message)
  }
  t.not(words[0], words[1], `${code} speaks both languages`)
}
t.test('a claim of a member', async (t) => {
  const app = await world.app(t)
  const response = await post(app, { ...FORM, password: 'chosen-and-dropped' }, { 'accept-language': 'en-GB,id;q=0.5' })
  t.equal(response.statusCode, 202)
  const { claim_id } = response.json<{ claim_id: string }>()
  t.match(response.headers, { location: `/api/claim/${claim_id}/status`, 'retry-after': '3', 'cache-control': 'no-store', 'x-request-id': /^[0-9a-f-]{36}$/ })
  t.same(bot.asked, [{ wa_jid: JID, secret: SECRET }])
  t.same(store.asked, [{ claim_id, wa_jid: JID, username: 'member1', template: 'nodejs', template_version: 1, language: 'en' }], 'is asked of the claim store, without the chosen password')
  t.match(await app.klaimMetrics.registry.metrics(), /klaim_claim_attempts_total\{result="accepted",service="gateway"\} 1/)
  t.match(await app.klaimMetrics.registry.metrics(), /klaim_http_request_seconds_count\{service="gateway",method="POST",route="\/api\/claim",status="202"\} 1/)
})

t.test("is made for the number as WhatsApp writes it", async (t) => {
  bot.answer = () => ({ wa_jid: '551187654321@s.whatsapp.net' })
  await post(await world.app(t), { ...FORM, wa_number_e164: '+55 11 98765-4321' })
  t.match([bot.asked[0]?.wa_jid, store.asked[0]?.wa_jid], ['5511987654321@s.whatsapp.net', '551187654321@s.whatsapp.net'])
})

t.test('a form that is wrong', async (t) => {
  const app = await world.app(t)
  const wrong: ReadonlyArray<readonly [HttpCode, string, unknown]> = [
    ['INVALID_PHONE', 'wa_number_e164', { ...FORM, wa_number_e164: '0812' }],
    ['INVALID_PHONE', 'wa_number_e164', { ...FORM, wa_number_e164: '0812 0000 000x' }],
    ['INVALID_PHONE', 'wa_number_e164', { ...FORM, wa_number_e164: 81200000001 }],
    ['INVALID_PHONE', 'wa_number_e164', { username: 'member1', template: 'nodejs' }],
    ['INVALID_USERNAME', 'username', { ...FORM, username: 'no' }],
    ['INVALID_USERNAME', 'username', { ...FORM, username: '-begins-badly' }],
    ['INVALID_USERNAME', 'username', { ...FORM, username: '<script>' }],
    ['INVALID_USERNAME', 'username', { ...FORM, username: `wa.${FORM.wa_number_e164.replaceAll(/\D/g, '').slice(-10)}` }],
    ['INVALID_PASSWORD', 'password', { ...FORM, password: 'short' }],
    ['INVALID_TEMPLATE', 'template', { ...FORM, template: 'Not A Name' }],
    ['INVALID_TEMPLATE', 'template', { ...FORM, template: 'unheard-of' }],
    ['INVALID_REQUEST', 'is_admin', { ...FORM, is_admin: true }],
  ]
  for (const [code, field, payload] of wrong) await isRefused(t, async (headers) => await post(app, payload, headers), code, { field })
  await isRefused(t, async (headers) => await post(app, [], headers), 'INVALID_REQUEST')
  await isRefused(t, async (headers) => await post(app, FORM, { ...headers, 'idempotency-key': 'short' }), 'INVALID_REQUEST', { field: 'idempotency-key' })
  t.same([bot.asked, store.asked], [[], []], 'goes no further')
})

t.test('a request that is wrong', async (t) => {
  const app = await world.app(t)
  const ask = (request: object) => async (headers: Record<string, string>) => await app.inject({ method: 'POST', url: '/api/claim', ...request, headers: { 'content-type': 'application/json', ...(request as { headers?: object }).headers, ...headers } })
  await isRefused(t, ask({ payload: '{"username":' }), 'INVALID_REQUEST')
  await isRefused(t, ask({ payload: '' }), 'INVALID_REQUEST')
  await isRefused(t, ask({ payload: JSON.stringify({ ...FORM, username: 'x'.repeat(20_000) }) }), 'PAYLOAD_TOO_LARGE')
  await isRefused(t, ask({ payload: 'x', headers: { 'content-type': 'application/xml' } }), 'UNSUPPORTED_MEDIA_TYPE')
  await isRefused(t, ask({ url: '/api/nothing' }), 'NOT_FOUND')
  await isRefused(t, ask({ url: '/api/%', method: 'GET' }), 'INVALID_REQUEST')
  await isRefused(t, ask({ url: '/api/claim/not-an-id/status', method: 'GET' }), 'NOT_FOUND')
  await isRefused(t, ask({ url: `/api/claim/${'x'.repeat(300)}/status`, method: 'GET' }), 'NOT_FOUND')
  await isRefused(t, ask({ method: 'DELETE', payload: 'x'.repeat(20_000), headers: { 'content-type': 'application/xml' } }), 'METHOD_NOT_ALLOWED')
  t.equal((await app.inject({ method: 'GET', url: '/api/claim' })).headers.allow, 'POST')
  t.equal((await app.inject({ method: 'PUT', url: '/api/templates' })).headers.allow, 'GET, HEAD')
})

t.test('membership', async (t) => {
  const app = await world.app(t)
  bot.answer = () => ({ membership: 'absent' })
  await isRefused(t, async (headers) => await post(app, FORM, headers), 'NOT_MEMBER')
  t.notMatch(errorOf(await post(app)).message, /http|undefined|\{/)
  const inviting = await world.app(t, { GROUP_INVITE_URL: 'https://chat.whatsapp.com/example' })
  t.match(errorOf(await post(inviting)).message, /https:\/\/chat\.whatsapp\.com\/example/, 'tells where to join')
  for (const answer of [{ membership: 'unknown' as const }, 503, 401, 'no json', '{"membership":"perhaps"}']) {
    bot.answer = () => answer
    await isRefused(t, async (headers) => await post(app, FORM, headers), 'BOT_OFFLINE', { retry_after: 30 })
  }
  t.same(store.asked, [], 'that is not certain makes no claim')
})

t.test('what the claim store refuses', async (t) => {
  const app = await world.app(t)
  store.create = () => ({ ok: false, rejection: 'ALREADY_CLAIMED', claim_id: CLAIM_ID })
  await isRefused(t, async (headers) => await post(app, FORM, headers), 'ALREADY_CLAIMED', { claim_id: CLAIM_ID })
  store.create = () => ({ ok: false, rejection: 'LEAVING', claim_id: CLAIM_ID, deletion_scheduled_at: '2026-11-24T02:30:00.000Z' })
  await isRefused(t, async (headers) => await post(app, FORM, headers), 'LEAVING', { claim_id: CLAIM_ID, deletion_scheduled_at: '2026-11-24T02:30:00.000Z', message: /09[.:]30 WIB/ })
  store.create = () => ({ ok: false, rejection: 'LEAVING', claim_id: CLAIM_ID, deletion_scheduled_at: null })
  await isRefused(t, async (headers) => await post(app, FORM, headers), 'LEAVING', { claim_id: CLAIM_ID })
  store.create = () => { throw new Error('secret upstream text 6281200000001') }
  await isRefused(t, async (headers) => await post(app, FORM, headers), 'UNAVAILABLE', { retry_after: 10 })
  t.notMatch((await post(app)).body, /secret|upstream|stack|    at /, 'is never quoted')
  t.match(await app.klaimMetrics.registry.metrics(), /attempts_total\{result="ALREADY_CLAIMED",service="gateway"\} 2\n/)
})

t.test('a claim store that is away', async (t) => {
  const app = await world.app(t)
  await world.stopStore()
  await isRefused(t, async (headers) => await post(app, FORM, headers), 'UNAVAILABLE', { retry_after: 10 })
  await world.startStore()
  t.equal((await post(app)).statusCode, 202, 'is asked again when it is back')
})

t.test('a bug', async (t) => {
  const app = await world.app(t, {}, { membership: { check: async () => { throw new TypeError('secret upstream text') } } })
  await isRefused(t, async (headers) => await post(app, FORM, headers), 'INTERNAL')
  t.notMatch((await post(app)).body, /secret|TypeError/, 'tells nothing of itself')
})

t.test('the same tap twice', async (t) => {
  const app = await world.app(t)
  const key = 'a-key-of-this-tap'
  store.create = ({ idempotency_key_hash }) => ({ ok: true, claim_id: idempotency_key_hash === createHash('sha256').update(key).digest('hex') ? CLAIM_ID : OTHER_CLAIM_ID })
  const [first, second] = [await post(app, FORM, { 'idempotency-key': key }), await post(app, FORM, { 'idempotency-key': key })]
  t.same([first.statusCode, second.statusCode], [202, 202])
  t.same([first.json(), second.json()], [{ claim_id: CLAIM_ID }, { claim_id: CLAIM_ID }], 'finds the claim that the first one made')
  t.equal(second.headers['location'], `/api/claim/${CLAIM_ID}/status`)
  t.not(store.asked[0]?.claim_id, store.asked[1]?.claim_id)
})

t.test('limits', async (t) => {
  const now = () => new Date('2026-11-24T02:30:00.000Z')
  const byAddress = await world.app(t, { RATE_LIMIT_IP_PER_MINUTE: 1 }, { now })
  await post(byAddress)
  await isRefused(t, async (headers) => await post(byAddress, FORM, headers), 'RATE_LIMITED', { retry_after: /^[1-9]\d?$/ })
  const byNumber = await world.app(t, { RATE_LIMIT_JID_PER_MINUTE: 1 }, { now })
  await post(byNumber)
  await isRefused(t, async (headers) => await post(byNumber, FORM, headers), 'RATE_LIMITED', { retry_after: /^[1-9]\d?$/ })
  t.equal(bot.asked.length, 2, 'are kept before the bot is asked')
})

t.test('the log holds no number, no password and no body', async (t) => {
  t.ok(world.logLines.some((line) => line.includes('"claim_id"') && line.includes('"route":"/api/claim"')))
  t.ok(world.logLines.some((line) => line.includes('"code":"NOT_MEMBER"')))
  t.same(world.logLines.filter((line) => /81200000001|0812|chosen-and-dropped|member1|secret upstream|127\.0\.0\.1/.test(line)), [])
})
