import t from 'tap'
import Fastify from 'fastify'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writePageOutput } from '../page-output.ts'
import { sendSecurityHeaders } from '../../services/gateway/security-headers.ts'
import type { App } from '../../services/gateway/gateway.ts'

const GATEWAY = 'https://klaim.example.org'
interface Route { readonly src?: string, readonly headers?: Record<string, string>, readonly dest?: string, readonly status?: number, readonly handle?: string }

t.test('what Vercel is given', async (t) => {
  const page = '<!doctype html><script src="/_next/static/a.js"></script><script>inline()</script>'
  const directory = t.testdir({ site: { 'index.html': page, '404.html': '<p>404</p>', en: { 'index.html': page }, '.built': 'x', _next: { static: { 'a.js': '' } } } })
  const [site, output] = [join(directory, 'site'), join(directory, 'output')]
  writePageOutput(site, output, GATEWAY)
  const { version, routes } = JSON.parse(readFileSync(join(output, 'config.json'), 'utf8')) as { version: number, routes: Route[] }
  t.equal(version, 3)
  t.same(['static/index.html', 'static/en/index.html', 'static/_next/static/a.js', 'static/.built'].map((path) => existsSync(join(output, path))), [true, true, true, false], 'is the page, without the marks of its build')

  /** All headers that a path is answered with; the last one that fits wins, as it does there. */
  const headersOf = (path: string): Record<string, string> => Object.assign({}, ...routes.slice(0, routes.findIndex(({ handle }) => handle !== undefined)).filter(({ src = '' }) => new RegExp(`^${src}$`).test(path)).map(({ headers }) => headers)) as Record<string, string>
  const hash = `'sha256-${createHash('sha256').update('inline()').digest('base64')}'`
  for (const path of ['/', '/en/']) {
    const policy = headersOf(path)['content-security-policy'] ?? ''
    t.ok(policy.includes(`script-src 'self' ${hash};`), `${path} runs its own scripts alone`)
    t.match(policy, new RegExp(`connect-src ${GATEWAY}; form-action ${GATEWAY};`), 'and speaks to the gateway alone')
  }
  t.match(headersOf('/_next/static/a.js')['cache-control'], /immutable/)
  t.equal(headersOf('/index.html')['cache-control'], undefined, 'a page is asked for anew')

  const app = Fastify()
  await sendSecurityHeaders(app as unknown as App)
  app.get('/', async () => '')
  const { headers } = await app.inject('/')
  const own = headersOf('/')
  for (const name of ['strict-transport-security', 'x-content-type-options', 'referrer-policy', 'x-frame-options', 'cross-origin-opener-policy', 'cross-origin-resource-policy']) t.equal(own[name], headers[name], `${name} is what the gateway sends`)
})

t.test('an address that is no origin of https, or no page, is refused', async (t) => {
  const site = t.testdir({ 'index.html': '', empty: {} })
  for (const address of ['', 'klaim.example.org', 'http://klaim.example.org', `${GATEWAY}/`, `${GATEWAY}/x`]) t.throws(() => { writePageOutput(site, join(site, 'output'), address) }, /must be an origin/)
  t.throws(() => { writePageOutput(join(site, 'empty'), join(site, 'output'), GATEWAY) }, /no exported page/)
  t.notOk(existsSync(join(site, 'output')))
})
