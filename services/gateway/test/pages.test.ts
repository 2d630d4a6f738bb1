import t from 'tap'
import type { App } from '../gateway.ts'
import { CLAIM_ID, claimView, FORM, OTHER_CLAIM_ID, startWorld } from './world.ts'

const world = await startWorld(t)
const { bot, store } = world
t.beforeEach(() => {
  bot.asked.length = store.asked.length = 0
  bot.answer = () => ({})
  store.create = ({ claim_id }) => ({ ok: true, claim_id })
})

const KEY = 'key-of-this-form'
const submit = async (app: App, fields: Record<string, string> = {}, url = '/', headers: Record<string, string> = {}) => await app.inject({
  method: 'POST', url, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, payload: new URLSearchParams({ ...FORM, idempotency_key: KEY, ...fields }).toString(),
})
const hiddenKey = (page: string): string => /name="idempotency_key" value="([^"]+)"/.exec(page)?.[1] ?? ''

t.test('the form', async (t) => {
  const app = await world.app(t, { GROUP_INVITE_URL: 'https://chat.whatsapp.com/example' })
  const page = await app.inject('/')
  t.equal(page.statusCode, 200)
  t.match(page.headers, { 'content-type': /text\/html/, 'content-security-policy': /default-src 'none';style-src 'self'/, 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' })
  t.notMatch(page.body, /<script|<style|style=|onclick|type="password"/, 'has no script, no inline style and asks for no password')
  t.match(page.body, /<html lang="id">.*Klaim server gratis/s)
  t.match(page.body, /name="template" value="nodejs" required checked/)
  t.match(page.body, /href="https:\/\/chat\.whatsapp\.com\/example"/)
  t.match((await app.inject({ url: '/', headers: { 'accept-language': 'en' } })).body, /<html lang="en">/, 'speaks the language of the browser')
  const chosen = await app.inject({ url: '/?lang=id', headers: { 'accept-language': 'en' } })
  t.match(chosen.body, /<html lang="id">.*action="\/\?lang=id"/s, 'or the one that was chosen, and keeps it')
  const style = await app.inject('/style.css')
  t.match([style.statusCode, style.headers['content-type']], [200, /text\/css/])
  t.equal((await app.inject({ url: '/style.css', headers: { 'if-none-match': String(style.headers['etag']) } })).statusCode, 304)
  t.not(hiddenKey(page.body), hiddenKey((await app.inject('/')).body), 'has a key of its own each time')
})

t.test('a form that is sent', async (t) => {
  const app = await world.app(t)
  const response = await submit(app, {}, '/?lang=en')
  t.equal(response.statusCode, 303)
  t.equal(response.headers['location'], `/claim/${store.asked[0]?.claim_id}?lang=en`)
  t.match(store.asked, [{ username: 'member1', template: 'nodejs', language: 'en', idempotency_key_hash: /^[0-9a-f]{64}$/ }])
  await submit(app, {}, '/?lang=en')
  t.equal(store.asked[1]?.idempotency_key_hash, store.asked[0]?.idempotency_key_hash, 'twice, is the same tap')
  t.equal((await submit(app, {}, '/')).headers['location'], `/claim/${store.asked[2]?.claim_id}`)
})

t.test('a form that cannot be taken comes back', async (t) => {
  const app = await world.app(t)
  const wrong = await submit(app, { wa_number_e164: '0812"><script>alert(1)</script>', username: 'member-x' }, '/?lang=en')
  t.equal(wrong.statusCode, 400)
  t.notMatch(wrong.body, /<script/, 'with what was typed as text')
  t.match(wrong.body, /value="0812&quot;&gt;&lt;script&gt;/)
  t.match(wrong.body, /value="member-x"/, 'with the other fields kept')
  t.match(wrong.body, /role="alert".*<a href="#wa_number_e164">That WhatsApp number/s, 'with a summary that leads to the field')
  t.match(wrong.body, /id="wa_number_e164"[^>]*aria-invalid="true" aria-describedby="wa_number_e164-error wa_number_e164-hint"/)
  t.equal(hiddenKey(wrong.body), KEY, 'with the same key')
  t.match((await submit(app, { username: 'x' })).body, /id="username"[^>]*aria-invalid/)
  t.match((await submit(app, { template: 'unheard-of' })).body, /href="#template-nodejs"/)
  const incomplete = await app.inject({ method: 'POST', url: '/', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: 'username=member1&username=member2' })
  t.match([incomplete.statusCode, incomplete.body], [400, /role="alert"/], 'even where it is no form of ours')
})

t.test('what stands in the way is told on the form', async (t) => {
  const app = await world.app(t, { GROUP_INVITE_URL: 'https://chat.whatsapp.com/example' })
  bot.answer = () => ({ membership: 'absent' })
  const stranger = await submit(app)
  t.match([stranger.statusCode, stranger.body], [403, /role="alert".*Gabung dulu lewat https:\/\/chat.*<a href="https:\/\/chat\.whatsapp\.com\/example"/s], 'with the way into the group')
  bot.answer = () => 503
  const offline = await submit(app)
  t.match([offline.statusCode, offline.headers['retry-after'], offline.body], [503, '30', /Bot WhatsApp sedang tidak tersambung/])
  bot.answer = () => ({})
  store.create = () => ({ ok: false, rejection: 'ALREADY_CLAIMED', claim_id: CLAIM_ID })
  const again = await submit(app, {}, '/?lang=en')
  t.match([again.statusCode, again.body], [409, new RegExp(`href="/claim/${CLAIM_ID}\\?lang=en"`)], 'with a way to the claim that is there')
  t.match(await app.klaimMetrics.registry.metrics(), /attempts_total\{result="ALREADY_CLAIMED",service="gateway"\} 1\n/)
})

t.test('the page of a claim', async (t) => {
  const app = await world.app(t, { BOT_NUMBER: '6281200000099' })
  const page = async (view: Parameters<typeof claimView>[0], lang = 'en') => {
    store.claims.set(CLAIM_ID, claimView(view))
    return (await app.inject(`/claim/${CLAIM_ID}?lang=${lang}`)).body
  }
  const installing = await page({ step: 'install' })
  t.match(installing, /<p role="status" class="news creating">Installing your server/)
  t.match(installing, /http-equiv="refresh" content="3"/, 'looks again while it moves')
  t.match(installing, /<ol.*<li class="done">Server created.*<li class="current" aria-current="step">Server installed.*<li class="waiting">Server answers/s)
  t.equal(installing.match(/aria-current/g)?.length, 1)
  t.match(await page({ step: 'install' }, 'id'), /<html lang="id">.*Memasang isi server/s)
  const active = await page({ status: 'active' })
  t.notMatch(active, /http-equiv="refresh"|aria-current/, 'rests when all is done')
  t.match(active, /href="https:\/\/wa\.me\/6281200000099\?text=SANDI"/, 'leads to the bot')
  t.match(await page({ status: 'deleting', deletion_scheduled_at: '2026-11-24T02:30:00.000Z' }), /refresh.*09:30 WIB/s)
  t.match(await page({ status: 'failed', failure_code: 'NO_FREE_PORT' }), /Every server slot is taken.*Claim again/s)
  t.match(await page({ status: 'deleted' }), /has been deleted.*Claim again/s)
})

t.test('an address that is not there', async (t) => {
  const app = await world.app(t)
  for (const url of [`/claim/${OTHER_CLAIM_ID}`, '/claim/nonsense']) {
    const response = await app.inject(`${url}?lang=en`)
    t.match([response.statusCode, response.headers['content-type'], response.body], [404, /text\/html/, /There is no such page or claim/])
  }
  const browser = await app.inject({ url: '/elsewhere', headers: { accept: 'text/html,*/*' } })
  t.match([browser.statusCode, browser.headers['content-type']], [404, /text\/html/], 'is a page for a browser')
  const program = await app.inject({ url: '/elsewhere', headers: { accept: '*/*' } })
  t.match([program.statusCode, program.headers['content-type']], [404, /application\/json/], 'and a value for a program')
})
