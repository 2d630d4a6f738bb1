import t from 'tap'
import { setTimeout as delay } from 'node:timers/promises'
import { ClaimProgress } from '../../../contracts/http.ts'
import { STEPS } from '../../../contracts/codes.ts'
import { validatorOf } from '../../common/envelope.ts'
import { CLAIM_ID, claimView, JID, OTHER_CLAIM_ID, startWorld } from './world.ts'

const world = await startWorld(t)
const { store } = world
const url = `/api/claim/${CLAIM_ID}/status`

t.test('the status of a claim', async (t) => {
  const app = await world.app(t)
  const due = '2026-11-24T02:30:00.000Z'
  const cases: ReadonlyArray<readonly [Parameters<typeof claimView>[0], id: RegExp, en: RegExp]> = [
    [{}, /disiapkan/, /being prepared/],
    ...STEPS.map((step) => [{ step }, new RegExp(world.messages.say('id', `steps.${step}`)), new RegExp(world.messages.say('en', `steps.${step}`))] as const),
    [{ step: 'install', created_at: new Date(Date.now() - 181_000).toISOString() }, /Masih diproses/, /Still working/],
    [{ status: 'active', step: 'probe' }, /siap/, /ready/],
    [{ status: 'failed', failure_code: 'NODE_DOWN' }, /Mesin/, /machine/],
    [{ status: 'failed' }, /tidak berhasil/, /could not be made/],
    [{ status: 'deleting', deletion_scheduled_at: due }, /24 November 2026 pukul 09\.30 WIB.*Gabung lagi/, /24 November 2026 at 09:30 WIB.*Rejoin/],
    [{ status: 'deleting', deletion_scheduled_at: due, deletion_started: true }, /tidak bisa dibatalkan/, /no longer be cancelled/],
    [{ status: 'deleted' }, /sudah dihapus/, /has been deleted/],
  ]
  for (const [view, id, en] of cases) {
    store.claims.set(CLAIM_ID, claimView({ user_id: 4711, ...view }))
    for (const [language, words] of [['id', id], ['en', en]] as const) {
      const response = await app.inject({ url, headers: { 'accept-language': language } })
      t.equal(response.statusCode, 200)
      t.ok(validatorOf(ClaimProgress).Check(response.json()))
      t.match(response.json<ClaimProgress>().message, words, `${language}: ${view?.status ?? 'creating'} ${view?.step ?? ''}`)
      t.equal(response.headers['cache-control'], 'no-cache')
      t.equal(response.headers['retry-after'], (view?.status ?? 'creating') === 'creating' ? '3' : undefined, 'is worth another look while it moves')
      t.notOk([JID, '6281', 'member1', '4711', 'abcdefghijklmnopqrst'].some((secret) => response.body.includes(secret)), 'tells nothing of whose it is')
    }
  }
  t.same((await app.inject({ url })).json<ClaimProgress>().step, undefined, 'has no step when it is not being made')
})

t.test('a status that was seen', async (t) => {
  const app = await world.app(t)
  store.claims.set(CLAIM_ID, claimView({ step: 'port' }))
  const first = await app.inject({ url })
  const etag = String(first.headers['etag'])
  const second = await app.inject({ url, headers: { 'if-none-match': `"other", W/${etag}` } })
  t.same([second.statusCode, second.body, second.headers['etag'], second.headers['retry-after']], [304, '', etag, '3'], 'is not sent again')
  t.equal((await app.inject({ url, headers: { 'if-none-match': etag, 'accept-language': 'en' } })).statusCode, 200, 'is sent again in another language')
  store.claims.set(CLAIM_ID, claimView({ step: 'create' }))
  t.equal((await app.inject({ url, headers: { 'if-none-match': etag } })).statusCode, 200, 'is sent again when it has changed')
})

t.test('a claim that nobody made', async (t) => {
  const app = await world.app(t)
  const response = await app.inject({ url: `/api/claim/${OTHER_CLAIM_ID}/status`, headers: { 'accept-language': 'en' } })
  t.same([response.statusCode, response.json<{ error: { code: string } }>().error.code], [404, 'NOT_FOUND'])
  t.equal(response.headers['etag'], undefined)
})

t.test('looks are limited too', async (t) => {
  const app = await world.app(t, { RATE_LIMIT_STATUS_PER_MINUTE: 1 }, { now: () => new Date('2026-11-24T02:30:00.000Z') })
  store.claims.set(CLAIM_ID, claimView())
  t.same([(await app.inject({ url })).statusCode, (await app.inject({ url })).statusCode, (await app.inject({ url: `/claim/${CLAIM_ID}` })).statusCode], [200, 429, 429])
})

t.test('the offers are told in the language of the caller', async (t) => {
  const app = await world.app(t)
  const offers = async (language: string) => (await app.inject({ url: '/api/templates', headers: { 'accept-language': language } })).json<{ templates: Array<{ name: string, version: number, title: string, description: string }> }>().templates
  const [id, en] = [await offers('id'), await offers('en')]
  t.same(en.map(({ name }) => name), ['nodejs', 'python'])
  t.match(en[0]?.description, /memory/)
  t.not(id[0]?.description, en[0]?.description)
  t.same(Object.keys(en[0] ?? {}), ['name', 'version', 'title', 'description'], 'without what the panel is told')
})

t.test('while NATS is away', async (t) => {
  const app = await world.app(t)
  store.claims.set(CLAIM_ID, claimView())
  await world.nats.kill('SIGKILL')
  const response = await app.inject({ url, headers: { 'accept-language': 'en' } })
  t.match([response.statusCode, response.headers['retry-after'], response.json()], [503, '10', { error: { code: 'UNAVAILABLE', retry_after: 10 } }], 'a status says so')
  t.equal((await app.inject('/readyz')).statusCode, 503)
  t.match((await app.inject('/')).statusCode, 200, 'and the form is still there')
  await world.nats.restart()
  // The gateway reconnects by itself; each look waits for an answer as long as a visitor would.
  const looks: number[] = []
  while (looks.at(-1) !== 200 && looks.length < 5) looks.push((await app.inject({ url })).statusCode)
  t.equal(looks.at(-1), 200, 'and all is well when it is back')
})

t.test('health', async (t) => {
  const app = await world.app(t)
  t.same([(await app.inject('/healthz')).statusCode, (await app.inject('/readyz')).statusCode], [200, 200])
  const away = await world.app(t, {}, { bus: { request: async () => { throw new Error('not asked') }, isConnected: () => false } })
  t.same([(await away.inject('/healthz')).statusCode, (await away.inject('/readyz')).statusCode], [200, 503])
  t.equal((await app.inject('/metrics')).statusCode, 404, 'metrics are not public')
})

t.test('a look that takes longer than three seconds', async (t) => {
  const app = await world.app(t)
  await world.nats.kill('SIGSTOP')
  const looking = app.inject({ url })
  await delay(3_200)
  await world.nats.kill('SIGCONT')
  await looking
  const answered = world.logLines.map((line) => JSON.parse(line) as { level: string, msg: string, duration_ms?: number }).filter(({ msg }) => msg === 'request answered')
  t.match(answered.at(-1), { level: 'info', duration_ms: Number })
  t.ok((answered.at(-1)?.duration_ms ?? 0) >= 3_000 && answered.some(({ level }) => level === 'debug'), 'is in the log, unlike the others')
})
