// The same files on another origin, served by nothing but a web server for files.
import t from 'tap'
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { EXPORTED, fillIn, startSite, typedNumberOf } from './site.ts'

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
const [gatewayPort, port] = [await freePort(), await freePort()]
const origin = `http://127.0.0.1:${port}`
const site = await startSite(t, { installDelayMs: 300, gateway: { CORS_ORIGIN: `https://klaim.example, ${origin}` }, gatewayPort })

// What a build with NEXT_PUBLIC_GATEWAY_URL writes: its value stands in the pages only.
const directory = t.testdir()
cpSync(EXPORTED, directory, { recursive: true })
for (const file of globSync('{,en/}index.html', { cwd: directory })) {
  const page = readFileSync(join(directory, file), 'utf8')
  const elsewhere = page.replaceAll('\\"gatewayUrl\\":\\"\\"', `\\"gatewayUrl\\":\\"${site.url}\\"`).replaceAll('action="/?lang=', `action="${site.url}/?lang=`)
  if (elsewhere === page) throw new Error(`${file} names no gateway`)
  writeFileSync(join(directory, file), elsewhere)
}
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', origin)
  const path = join(directory, pathname.endsWith('/') ? `${pathname}index.html` : pathname)
  try {
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(readFileSync(path))
  } catch {
    response.writeHead(404).end()
  }
}).listen(port, '127.0.0.1')
t.teardown(() => {
  server.closeAllConnections()
  server.close()
})

t.test('the page on an origin that the gateway names', async (t) => {
  const { page, context, faults } = await site.visitor({ allowed: origin })
  await page.goto(origin)
  await fillIn(page, '0812 9999 0001', 'stranger1')
  await page.locator('.summary[data-code=NOT_MEMBER]').waitFor()
  t.pass('is refused like any other')
  await fillIn(page, typedNumberOf(1), 'member1')
  await page.locator('.good h1').waitFor()
  await page.click('.language')
  await page.getByRole('heading', { name: 'Your server is ready!' }).waitFor()
  t.equal(new URL(page.url()).origin, origin, 'works, in both languages')
  await context.close()
  t.same(faults, [])
})

t.test('the page on an origin that nobody named', async (t) => {
  const { page, context } = await site.visitor({ allowed: origin })
  await page.clock.install()
  // The same server under another name is another origin.
  await page.goto(origin.replace('127.0.0.1', 'localhost'))
  await fillIn(page, typedNumberOf(2), 'member2')
  for (let second = 0; second < 20 && await page.locator('.summary').count() === 0; second++) await page.clock.runFor(1_000)
  t.equal(await page.locator('.summary').getAttribute('data-code'), 'UNREACHABLE', 'gets no answer from the API')
  await context.close()
})
