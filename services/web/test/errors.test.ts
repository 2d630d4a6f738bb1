// Every refusal of the gateway and how the page tells it, in both languages. Most are the real system's own; where it cannot be made to say
// something, its answer is put in its place (`answers`): CLAIMS_CLOSED, LEAVING, and what only a broken client is told.
import t, { type Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { HTTP_CODES, type HttpCode } from '../../../contracts/codes.ts'
import { pageDataOf } from '../build-data.ts'
import { barriers, fillIn, overflow, startSite, typedNumberOf, type Visitor } from './site.ts'

const LIMIT = 6
const site = await startSite(t, { installDelayMs: 300, gateway: { RATE_LIMIT_JID_PER_MINUTE: String(LIMIT) } })
const { url } = site
const LANGUAGES = { id: 'id-ID', en: 'en-GB' } as const
const wordsOf = (language: 'id' | 'en') => pageDataOf(language, resolve(import.meta.dirname, '../../..'), '').words
const told = new Set<string>()

async function isTold (t: Test, page: Page, language: 'id' | 'en', code: string): Promise<void> {
  const summary = page.locator(`.summary[data-code="${code}"]`)
  await summary.waitFor()
  t.equal(await summary.locator('h2').innerText(), wordsOf(language)[`page.problem_${code}`], `${code} has its own title`)
  t.ok((await summary.innerText()).length > 60, 'and says what happened and what to do')
  t.ok(await summary.evaluate((section) => section === document.activeElement), 'the summary has the focus')
  t.same(await barriers(page), [], 'without barriers')
  t.equal(await overflow(page), 0)
  told.add(code)
}

async function inBoth (t: Test, run: (t: Test, visitor: Visitor, language: 'id' | 'en') => Promise<void>): Promise<void> {
  for (const language of ['id', 'en'] as const) {
    const visitor = await site.visitor({ locale: LANGUAGES[language], colorScheme: language === 'id' ? 'light' : 'dark' })
    await visitor.page.goto(url)
    await run(t, visitor, language)
    await visitor.context.close()
    t.same(visitor.faults, [])
  }
}

/** The gateway's answer, where the real one cannot be brought to give it. */
async function answers (page: Page, code: HttpCode, details: object = {}): Promise<void> {
  await page.route('**/api/claim', async (route) => {
    await route.fulfill({ status: HTTP_CODES[code], contentType: 'application/json', body: JSON.stringify({ error: { code, message: `These are the words of ${code}, which the gateway has in the language of the page.`, ...details } }) })
  })
}

t.test('a number that is not in the group', async (t) => {
  await inBoth(t, async (t, { page }, language) => {
    await fillIn(page, '0812 9999 0001', 'stranger1')
    await isTold(t, page, language, 'NOT_MEMBER')
    t.equal(await page.locator('.summary a[href="https://chat.whatsapp.com/example"]').count(), 1, 'with the way into the group')
    t.equal(await page.inputValue('#wa_number_e164'), '0812 9999 0001', 'and what was typed')
  })
})

t.test('a field that is wrong', async (t) => {
  await inBoth(t, async (t, { page }, language) => {
    await page.focus('#wa_number_e164')
    await page.waitForLoadState('networkidle')
    await page.fill('#wa_number_e164', '0812')
    await page.focus('#username')
    await page.locator('#wa_number_e164-error').waitFor()
    t.equal(await page.innerText('#wa_number_e164-error'), wordsOf(language)['errors.INVALID_PHONE'], 'is told as soon as it is left')
    t.match(await page.getAttribute('#wa_number_e164', 'aria-describedby'), /wa_number_e164-error/)
    await fillIn(page, '0812', 'no-')
    t.equal(await page.locator('.summary li').count(), 2, 'and in the summary')
    await page.locator('.summary a').nth(1).click()
    t.equal(await page.evaluate(() => document.activeElement?.id), 'username')
    await page.fill('#username', 'member1')
    await page.locator('#username-error').waitFor({ state: 'detached' })
    t.equal(await page.locator('.summary li').count(), 1, 'until it is right')
  })
})

t.test('fields that only the gateway finds wrong', async (t) => {
  await inBoth(t, async (t, { page }, language) => {
    // A page whose number parser could not be loaded sends what was typed.
    await page.route(/_next\/static\/chunks\/(?!.*main)/, async (route) => { await route.abort() })
    await fillIn(page, '0812 00', 'member1')
    await isTold(t, page, language, 'INVALID_PHONE')
    t.equal(await page.locator('#wa_number_e164').getAttribute('aria-invalid'), 'true', 'shown at the field')
  })
})

t.test('a member who has a server', async (t) => {
  const first = await site.visitor()
  await first.page.goto(url)
  await fillIn(first.page, typedNumberOf(3), 'member3')
  await first.page.locator('.good h1').waitFor()
  const claim = new URL(first.page.url()).search
  await first.context.close()
  await inBoth(t, async (t, { page }, language) => {
    await fillIn(page, typedNumberOf(3), 'member3b')
    await page.locator('.good h1').waitFor()
    t.equal(new URL(page.url()).search, claim, 'is led to it')
    told.add('ALREADY_CLAIMED')
    t.ok(wordsOf(language)['page.problem_ALREADY_CLAIMED'])
  })
  await inBoth(t, async (t, { page }, language) => {
    await site.panel({ wings: { '*': { install: 'never' } } })
    const member = language === 'id' ? 4 : 5
    await fillIn(page, typedNumberOf(member), `member${member}`)
    await page.locator('.steps').waitFor()
    const { page: other, context } = await site.visitor({ locale: LANGUAGES[language] })
    await other.goto(url)
    await fillIn(other, typedNumberOf(member), `member${member}`)
    await other.locator('.notice[data-code=ALREADY_CLAIMED]').waitFor()
    await other.locator('.steps').waitFor()
    t.equal(await other.innerText('.notice h2'), wordsOf(language)['page.problem_ALREADY_CLAIMED'], 'and told why')
    t.same(await barriers(other), [])
    await context.close()
  })
  await site.panel({ wings: { '*': { install: 'success' } } })
})

t.test('a member who is leaving', async (t) => {
  await inBoth(t, async (t, { page }, language) => {
    const claim_id = randomUUID()
    const at = new Date(Date.now() + 3_600_000).toISOString()
    await answers(page, 'LEAVING', { claim_id, deletion_scheduled_at: at })
    await page.route('**/status', async (route) => {
      await route.fulfill({ contentType: 'application/json', body: JSON.stringify({ claim_id, status: 'deleting', message: 'It will be deleted.', deletion_scheduled_at: at, created_at: at, updated_at: at }) })
    })
    await fillIn(page, typedNumberOf(6), 'member6')
    await page.locator('.notice[data-code=LEAVING]').waitFor()
    t.equal(await page.locator('.wary h1').innerText(), wordsOf(language)['page.deleting_title'], 'is led to the claim and its time')
    t.same(await barriers(page), [])
    told.add('LEAVING')
  })
})

t.test('too many tries', async (t) => {
  const visitor = await site.visitor()
  const { page } = visitor
  await page.goto(url)
  // The number is counted before the group is asked. The minute may end between two tries.
  let status = 0
  for (let tries = 0; status !== 429 && tries <= 2 * LIMIT; tries++) {
    if (status !== 0) await page.locator('.summary[data-code=NOT_MEMBER]').waitFor()
    const answer = page.waitForResponse('**/api/claim')
    await fillIn(page, '0812 9999 0002', 'stranger2')
    status = (await answer).status()
  }
  await isTold(t, page, 'id', 'RATE_LIMITED')
  t.match(await page.innerText('button[type=submit]'), /Coba lagi dalam \d+ detik/)
  await visitor.context.close()
})

t.test('a claim that failed', async (t) => {
  await site.panel({ wings: { '*': { install: 'failure' } } })
  await inBoth(t, async (t, { page }, language) => {
    const member = language === 'id' ? 7 : 8
    await fillIn(page, typedNumberOf(member), `member${member}`)
    await page.locator('.bad h1').waitFor()
    t.equal(await page.locator('h1').innerText(), wordsOf(language)['page.failed_title'])
    t.same(await barriers(page), [])
    await page.locator('summary').click()
    t.match(await page.innerText('dl'), /INSTALL_FAILED/)
    await page.locator('.actions button').click()
    await page.locator('form').waitFor()
  })
  await site.panel({ wings: { '*': { install: 'success' } } })
})

t.test('no answer at all', async (t) => {
  await inBoth(t, async (t, { page }, language) => {
    await page.clock.install()
    const tries: string[] = []
    await page.route('**/api/claim', async (route) => {
      tries.push(route.request().headers()['idempotency-key'] ?? '')
      await route.abort('connectionrefused')
    })
    await fillIn(page, typedNumberOf(9), 'member9')
    for (let second = 0; second < 20 && await page.locator('.summary').count() === 0; second++) await page.clock.runFor(1_000)
    await isTold(t, page, language, 'UNREACHABLE')
    t.match([tries.length, new Set(tries).size], [4, 1], 'after four tries with one key')
  })
})

t.test('what is behind the gateway is away', async (t) => {
  await site.system.kill('claim-store')
  await inBoth(t, async (t, { page }, language) => {
    await fillIn(page, typedNumberOf(2), 'member2')
    await isTold(t, page, language, 'UNAVAILABLE')
  })
  await site.system.kill('bot')
  await inBoth(t, async (t, { page }, language) => {
    await fillIn(page, typedNumberOf(1), 'member1')
    await isTold(t, page, language, 'BOT_OFFLINE')
    t.match(await page.innerText('button[type=submit]'), /\d+/, 'says when to try again')
    t.equal(await page.getAttribute('button[type=submit]', 'aria-disabled'), 'true')
  })
})

t.test('every other code', async (t) => {
  const rest = (Object.keys(HTTP_CODES) as HttpCode[]).filter((code) => !told.has(code))
  await inBoth(t, async (t, { page }, language) => {
    for (const code of rest) {
      await page.unrouteAll()
      await answers(page, code)
      await fillIn(page, typedNumberOf(10), 'member10')
      await page.locator(`.summary[data-code=${code}]:focus`).waitFor()
      t.equal(await page.innerText('.summary h2'), wordsOf(language)[`page.problem_${code}`], `${code} has its own title`)
      t.match(await page.innerText('.summary p, .summary li'), new RegExp(code), "and the gateway's words")
      told.add(code)
    }
    t.same(await barriers(page), [])
  })
  t.same(Object.keys(HTTP_CODES).filter((code) => !told.has(code)), [], 'has been told')
})
