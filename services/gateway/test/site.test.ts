import t from 'tap'
import { createHash } from 'node:crypto'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { loadConfig } from '../../common/config.ts'
import { Config } from '../config.ts'
import { loadSite } from '../site.ts'
import { startWorld } from './world.ts'

const world = await startWorld(t)
const page = (language: string) => `<!doctype html><html lang="${language}"><script src="/_next/static/a-1.js" async=""></script><script>self.words = '${language}'</script><form method="post" action="/"></form></html>`
const exported = {
  'index.html': page('id'), en: { 'index.html': page('en') }, 'icon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>', 'index.txt': 'not for anyone',
  _next: { static: { 'a-1.js': 'console.log(1)'.repeat(100) } },
}
const hash = (script: string): string => `'sha256-${createHash('sha256').update(script).digest('base64')}'`

t.test('an exported page', async (t) => {
  const app = await world.app(t, {}, { site: loadSite(t.testdir(exported)) })
  const id = await app.inject('/')
  t.match([id.statusCode, id.headers['content-type'], id.headers['cache-control']], [200, /text\/html/, 'no-cache'])
  t.match(id.body, /<html lang="id">/)
  t.match((await app.inject({ url: '/', headers: { 'accept-language': 'en' } })).body, /lang="en"/, 'is in the language of the browser')
  t.match((await app.inject({ url: '/?lang=id', headers: { 'accept-language': 'en' } })).body, /lang="id"/, 'or in the one that was chosen')
  t.match((await app.inject('/en/')).body, /lang="en"/)
  t.equal((await app.inject('/en')).headers['location'], '/en/')
  const policy = String(id.headers['content-security-policy'])
  t.match(policy, hash("self.words = 'id'"), 'allows the inline scripts that it has')
  t.notMatch(policy, /unsafe|\*/, 'and no others')
  t.notMatch(policy, hash("self.words = 'en'"))
  t.match(id.headers['vary'], /Accept-Encoding, Accept-Language/)
  t.equal((await app.inject({ url: '/', headers: { 'if-none-match': String(id.headers['etag']) } })).statusCode, 304)
  const posted = await app.inject({ method: 'POST', url: '/', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: 'username=x' })
  t.match([posted.statusCode, posted.body], [400, /role="alert"/], 'has its form answered without JavaScript')
})

t.test('the files of the page', async (t) => {
  const app = await world.app(t, {}, { site: loadSite(t.testdir(exported)) })
  const script = '/_next/static/a-1.js'
  const plain = await app.inject(script)
  t.match([plain.statusCode, plain.headers], [200, { 'cache-control': 'public, max-age=31536000, immutable', 'content-type': /text\/javascript/, 'x-content-type-options': 'nosniff' }])
  const br = await app.inject({ url: script, headers: { 'accept-encoding': 'gzip, deflate, br' } })
  t.equal(br.headers['content-encoding'], 'br')
  t.equal(brotliDecompressSync(br.rawPayload).toString(), plain.body, 'are sent small')
  const gzip = await app.inject({ url: script, headers: { 'accept-encoding': 'gzip, br;q=0' } })
  t.equal(gunzipSync(gzip.rawPayload).toString(), plain.body)
  t.equal((await app.inject('/icon.svg')).headers['content-type'], 'image/svg+xml')
  for (const url of ['/_next/static/b-2.js', '/_next/../index.txt', '/_next/static/..%2f..%2f..%2findex.txt', '/index.txt']) t.equal((await app.inject(url)).statusCode, 404, url)
})

t.test('a directory without a page is no site', async (t) => {
  t.equal(loadSite(t.testdir({})), undefined)
  const app = await world.app(t)
  t.match((await app.inject('/')).body, /name="idempotency_key"/, 'and the form is served without it')
})

t.test('another origin', async (t) => {
  const app = await world.app(t, { CORS_ORIGIN: 'https://klaim.example, https://preview.example' })
  const ask = async (origin: string | undefined, options: object = {}) => await app.inject({ url: '/api/templates', ...options, headers: { ...(origin === undefined ? {} : { origin }), ...(options as { headers?: object }).headers } })
  const named = await ask('https://klaim.example')
  t.match(named.headers, { 'access-control-allow-origin': 'https://klaim.example', 'access-control-expose-headers': /ETag, Retry-After/, vary: 'Accept-Language, Origin' }, 'that is named may read')
  t.equal(named.headers['access-control-allow-credentials'], undefined)
  for (const origin of ['https://evil.example', 'https://klaim.example.evil.example', 'http://klaim.example', 'null', undefined]) {
    const response = await ask(origin)
    t.match([response.headers['access-control-allow-origin'], response.headers['vary']], [undefined, 'Accept-Language, Origin'], `${origin} may not`)
  }
  const preflight = { method: 'OPTIONS', url: '/api/claim', headers: { 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,idempotency-key' } }
  t.match(await ask('https://preview.example', preflight), { statusCode: 204, headers: { 'access-control-allow-origin': 'https://preview.example', 'access-control-allow-headers': /Idempotency-Key/, 'access-control-allow-methods': /POST/ } })
  t.equal((await ask('https://evil.example', preflight)).statusCode, 405)
  t.equal((await ask('https://klaim.example', { method: 'POST', url: '/api/claim', payload: {} })).headers['access-control-allow-origin'], 'https://klaim.example', 'may read errors too')
  t.equal((await ask('https://klaim.example', { url: '/' })).headers['access-control-allow-origin'], undefined, 'has no business with pages')
  const closed = await world.app(t)
  t.equal((await closed.inject({ url: '/api/templates', headers: { origin: 'https://klaim.example' } })).headers['access-control-allow-origin'], undefined, 'is nothing unless it was named')
  t.equal((await closed.inject({ ...preflight, method: 'OPTIONS', headers: { ...preflight.headers, origin: 'https://klaim.example' } })).statusCode, 405)
  t.throws(() => loadConfig(Config, { NATS_URL: 'nats://127.0.0.1:1', BOT_URL: 'http://127.0.0.1:9', INTERNAL_SECRET: 'an-internal-secret', CORS_ORIGIN: '*' }), /CORS_ORIGIN/)
})

t.test('where a member goes on is told to the page', async (t) => {
  const app = await world.app(t, { GROUP_INVITE_URL: 'https://chat.whatsapp.com/example', BOT_NUMBER: '6281200000099', PANEL_PUBLIC_URL: 'https://panel.example' })
  t.same((await app.inject('/api/templates')).json<{ links: object }>().links, { group: 'https://chat.whatsapp.com/example', bot: 'https://wa.me/6281200000099', panel: 'https://panel.example' })
})
