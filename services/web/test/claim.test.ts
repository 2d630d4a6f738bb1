import t, { type Test } from 'tap'
import type { Page } from 'playwright-core'
import { barriers, fillIn, numberOf, overflow, startSite, typedNumberOf, type Visitor } from './site.ts'

const site = await startSite(t, { members: 20, installDelayMs: 300 })
const { url } = site

const status = async (page: Page): Promise<string> => await page.locator('[role=status]').innerText()
const claimOf = (page: Page): string => new URL(page.url()).searchParams.get('claim') ?? ''
const ready = async (page: Page): Promise<void> => { await page.locator('.good h1').waitFor() }
const making = async (page: Page): Promise<void> => { await page.locator('.steps').waitFor() }
/** However far it is: on a slow machine it may be ready before the page has looked. */
const claimed = async (page: Page): Promise<void> => { await page.locator('.claim-view').waitFor() }
async function noFaults (t: Test, { context, faults }: Visitor): Promise<void> {
  await context.close()
  t.same(faults, [], 'without an error, a breach of the policy or a request to elsewhere')
}
/** Every state of the page is looked at by axe, and must fit the window. */
async function isFine (t: Test, page: Page, what: string): Promise<void> {
  t.same(await barriers(page), [], `${what}: no barriers`)
  t.equal(await overflow(page), 0, `${what}: fits`)
}

t.test('from the form to the server', async (t) => {
  // Long enough to be seen by a page that looks every three seconds.
  await site.panel({ wings: { '*': { installDelayMs: 8_000 } } })
  t.teardown(() => site.panel({ wings: { '*': { installDelayMs: 300 } } }))
  const words = {
    id: { locale: 'id-ID', title: 'Klaim server gratis', read: 'Nomor: +62 812 0000 0001', making: 'Server kamu sedang disiapkan', ready: 'Server kamu siap!', number: 1, colorScheme: 'light' },
    en: { locale: 'en-GB', title: 'Claim a free server', read: 'Number: +62 812 0000 0002', making: 'Your server is being prepared', ready: 'Your server is ready!', number: 2, colorScheme: 'dark' },
  } as const
  for (const [language, { locale, title, read, making: preparing, ready: done, number, colorScheme }] of Object.entries(words)) {
    await t.test(language, async (t) => {
      const visitor = await site.visitor({ locale, colorScheme })
      const { page } = visitor
      await page.goto(url)
      t.equal(await page.locator('html').getAttribute('lang'), language)
      t.equal(await page.locator('h1').innerText(), title)
      await isFine(t, page, 'form')
      await fillIn(page, typedNumberOf(number), `member${number}`, false)
      await page.getByText(read).waitFor()
      await page.locator('.choice').nth(1).click()
      await page.click('button[type=submit]')
      await making(page)
      t.equal(await page.locator('h1').innerText(), preparing)
      t.match(await page.evaluate(() => document.activeElement?.tagName), 'H1', 'the new view is where the reader is')
      t.equal(await page.locator('[aria-current=step]').count(), 1)
      t.equal(await page.locator('[role=status]').count(), 1, 'one region tells what changes')
      await page.locator('.steps .current:nth-child(5)').waitFor()
      t.match(await status(page), /Memasang|Installing/, 'and told the step')
      await isFine(t, page, 'progress')
      await ready(page)
      t.equal(await page.locator('h1').innerText(), done)
      t.match(await page.title(), done)
      t.notMatch(await page.innerText('body'), /\S{32}/, 'shows nothing like a password')
      t.equal(await page.locator('a[href="https://wa.me/6281200000099"]').count(), 1)
      t.equal(await page.locator('a[href="https://panel.example.invalid"]').count(), 1)
      await page.locator('summary').click()
      t.match(await page.innerText('dl'), /Python.*WIB/s)
      await isFine(t, page, 'success')
      await noFaults(t, visitor)
    })
  }
})

t.test('a visitor who comes back', async (t) => {
  const visitor = await site.visitor()
  const { page, context } = visitor
  await page.goto(url)
  await fillIn(page, typedNumberOf(3), 'member3')
  await claimed(page)
  const claimId = claimOf(page)
  t.match(claimId, /^[0-9a-f-]{36}$/, 'the address names the claim')
  await page.reload()
  await claimed(page)
  t.equal(await page.locator('form').count(), 0, 'after a reload sees the claim')
  const storage = await context.storageState()
  await context.close()
  const returned = await site.visitor({ storageState: storage })
  await returned.page.goto(url)
  await ready(returned.page)
  t.equal(claimOf(returned.page), claimId, 'after the browser was closed finds the same claim')
  const elsewhere = await site.visitor({ locale: 'en-GB' })
  await elsewhere.page.goto(`${url}/?claim=${claimId}`)
  await ready(elsewhere.page)
  await elsewhere.page.click('.language')
  await elsewhere.page.locator('html[lang=id]').waitFor()
  await ready(elsewhere.page)
  t.equal(claimOf(elsewhere.page), claimId, 'by the link, on another machine, in the other language')
  await returned.page.getByText('Klaim dengan nomor lain').click()
  await returned.page.locator('form').waitFor()
  await returned.page.reload()
  t.equal(await returned.page.locator('form').count(), 1, 'or starts over, for good')
  await noFaults(t, returned)
  await noFaults(t, elsewhere)
})

t.test('going back', async (t) => {
  const visitor = await site.visitor()
  const { page } = visitor
  await page.goto(url)
  await fillIn(page, typedNumberOf(4), 'member4')
  await claimed(page)
  const claimId = claimOf(page)
  await page.goBack()
  await page.locator('form').waitFor()
  await page.getByText('Lihat status klaim').click()
  await claimed(page)
  t.equal(claimOf(page), claimId, 'leads to the form, which knows the way to the claim')
  await page.goBack()
  await page.locator('form').waitFor()
  await page.goForward()
  await claimed(page)
  await ready(page)
  await noFaults(t, visitor)
})

t.test('two tabs', async (t) => {
  const visitor = await site.visitor()
  const [first, second] = [visitor.page, await visitor.context.newPage()]
  await first.goto(url)
  await second.goto(url)
  await fillIn(first, typedNumberOf(5), 'member5')
  await claimed(first)
  await claimed(second)
  await Promise.all([ready(first), ready(second)])
  t.equal(claimOf(second), claimOf(first), 'show one claim')
  await noFaults(t, visitor)
})

t.test('one tap', async (t) => {
  const visitor = await site.visitor()
  const { page } = visitor
  const keys: Array<string | undefined> = []
  await page.route('**/api/claim', async (route) => {
    keys.push(route.request().headers()['idempotency-key'])
    // The gateway takes the first one, and its answer is lost on the way.
    if (keys.length === 1) {
      await route.fetch()
      await route.abort('connectionreset')
    } else {
      await route.continue()
    }
  })
  await page.goto(url)
  await fillIn(page, typedNumberOf(6), 'member6', false)
  await page.dblclick('button[type=submit]')
  await ready(page)
  t.equal(keys.length, 2, 'pressed twice and lost once is sent twice')
  t.equal(new Set(keys).size, 1, 'with one key')
  t.equal(await page.locator('.notice').count(), 0, 'and finds the claim that it made')
  await noFaults(t, visitor)
})

t.test('offline and back', async (t) => {
  const visitor = await site.visitor()
  const { page, context } = visitor
  await page.goto(url)
  await page.focus('#wa_number_e164')
  await page.waitForLoadState('networkidle')
  await context.setOffline(true)
  await page.getByText('Tidak ada koneksi internet').last().waitFor()
  await isFine(t, page, 'offline')
  await fillIn(page, typedNumberOf(7), 'member7')
  await page.locator('form[aria-busy=true]').waitFor()
  await context.setOffline(false)
  await claimed(page)
  t.pass('a form that is sent offline is sent when there is a connection')
  await context.setOffline(true)
  await page.locator('.strip').waitFor()
  await context.setOffline(false)
  await ready(page)
  t.pass('and so is a look')
  await noFaults(t, visitor)
})

t.test('without a mouse', async (t) => {
  const visitor = await site.visitor()
  const { page } = visitor
  const focused = async (): Promise<string> => await page.evaluate(() => document.activeElement?.id !== '' ? document.activeElement?.id ?? '' : document.activeElement.className)
  const outline = async (): Promise<string> => await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle)
  await page.goto(url)
  await page.waitForLoadState('networkidle')
  const seen: string[] = []
  for (let press = 0; press < 6; press++) {
    await page.keyboard.press('Tab')
    seen.push(await focused())
    if (!seen.at(-1)?.startsWith('template')) t.equal(await outline(), 'solid', `${seen.at(-1)} shows that it has the focus`)
  }
  t.same(seen, ['skip', 'language', 'wa_number_e164', 'username', 'template-nodejs', 'button wide'], 'everything is reached in order')
  await page.keyboard.press('Enter')
  await page.locator('.summary:focus').waitFor()
  await isFine(t, page, 'a form with errors')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  t.equal(await focused(), 'wa_number_e164', 'the summary leads to the field')
  t.equal(await page.locator('#wa_number_e164').getAttribute('aria-invalid'), 'true')
  await page.keyboard.type(typedNumberOf(8))
  await page.keyboard.press('Tab')
  await page.keyboard.type('member8')
  await page.keyboard.press('Tab')
  await page.keyboard.press('ArrowDown')
  t.equal(await page.isChecked('#template-python'), true)
  await page.keyboard.press('Enter')
  await ready(page)
  await noFaults(t, visitor)
})

t.test('a claim that takes long', async (t) => {
  await site.panel({ wings: { '*': { install: 'never' } } })
  t.teardown(() => site.panel({ wings: { '*': { install: 'success' } } }))
  const visitor = await site.visitor()
  const { page } = visitor
  await page.clock.install()
  await page.goto(url)
  await fillIn(page, typedNumberOf(9), 'member9')
  await making(page)
  await page.clock.runFor(170_000)
  t.equal(await page.locator('h1').innerText(), 'Server kamu sedang disiapkan', 'is nothing special before three minutes')
  await page.clock.runFor(30_000)
  await page.getByRole('heading', { name: 'Sedikit lebih lama dari biasanya' }).waitFor()
  t.match(await page.innerText('main'), /kami kabari lewat WhatsApp/, 'says after three minutes that nobody needs to wait')
  await isFine(t, page, 'late')
  const looks: number[] = []
  page.on('request', (request) => { if (request.url().endsWith('/status')) looks.push(1) })
  await page.clock.runFor(60_000)
  t.ok(looks.length >= 1 && looks.length <= 5, `and looks less often: ${looks.length} times in a minute`)
  await noFaults(t, visitor)
})

t.test('a member who leaves', async (t) => {
  const visitor = await site.visitor({ timezoneId: 'Asia/Makassar' })
  const { page } = visitor
  await page.goto(url)
  await fillIn(page, typedNumberOf(10), 'member10')
  await ready(page)
  await fetch(`${site.system.whatsappUrl}/people/${numberOf(10)}/leave`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
  await page.clock.install()
  for (let look = 0; look < 40 && await page.locator('.wary h1').count() === 0; look++) {
    await page.reload()
    await page.locator('.good h1, .wary h1').waitFor()
  }
  t.equal(await page.locator('h1').innerText(), 'Server kamu akan dihapus')
  t.match(await page.innerText('.card'), /WIB.*WITA/s, "sees the time in western Indonesia and in their own zone")
  await isFine(t, page, 'deleting')
  await noFaults(t, visitor)
})

t.test('a claim that is not there', async (t) => {
  const visitor = await site.visitor()
  const { page } = visitor
  await page.goto(`${url}/?claim=0b2f3c64-8c0e-4d36-9d6c-0d6f0a3b1c11`)
  await page.getByText('Klaim ini tidak ditemukan').waitFor()
  await isFine(t, page, 'not found')
  await page.getByText('Ke halaman depan').click()
  await page.locator('form').waitFor()
  await noFaults(t, visitor)
})

t.test('without JavaScript', async (t) => {
  const visitor = await site.visitor({ javaScriptEnabled: false })
  const { page } = visitor
  await page.goto(url)
  await fillIn(page, typedNumberOf(11), 'member11')
  await page.waitForURL('**/claim/**')
  t.match(await page.innerText('main'), /Server kamu/)
  await page.getByText('Server kamu siap!').waitFor()
  await noFaults(t, visitor)
})

t.test('small windows and large text', async (t) => {
  const visitor = await site.visitor({ viewport: { width: 320, height: 640 } })
  const { page } = visitor
  await page.goto(url)
  t.equal(await overflow(page), 0, '320 px')
  await page.setViewportSize({ width: 640, height: 640 })
  const session = await visitor.context.newCDPSession(page)
  await session.send('Emulation.setDeviceMetricsOverride', { width: 360, height: 740, deviceScaleFactor: 1, mobile: false })
  await page.evaluate(() => { document.documentElement.style.fontSize = '200%' })
  t.equal(await overflow(page), 0, 'text at 200 %')
  await visitor.context.close()
})
