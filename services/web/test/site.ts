// The claim page in a real browser, before the whole running system.
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { startSystem, type System, type SystemOptions } from '../../../deploy/staging/system.ts'

export const EXPORTED = resolve(import.meta.dirname, '../out')

export interface Site {
  readonly system: System
  readonly url: string
  readonly browser: Browser
  /** A visitor with a browser of their own. What goes wrong in their pages is in `faults`: errors, breaches of the policy, requests to elsewhere. */
  visitor (options?: VisitorOptions): Promise<Visitor>
  /** Knobs of the panel's double: its own, and those of its nodes. */
  panel (knobs: { panel?: object, wings?: { '*': object } }): Promise<void>
  whatsapp (knobs: object): Promise<void>
}
/** `allowed`: another origin that pages may be at and ask. */
export type VisitorOptions = BrowserContextOptions & { readonly allowed?: string }
export interface Visitor { readonly context: BrowserContext, readonly page: Page, readonly faults: string[] }

export interface SiteOptions { readonly members?: number, readonly graceMs?: number, readonly installDelayMs?: number, readonly gatewayPort?: number, readonly gateway?: Record<string, string>, readonly env?: SystemOptions['env'] }

const ARGUMENTS = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
/** Longer than a claim takes where other tests have the processors. */
const WAIT_MS = 60_000

export async function startSite (t: Pick<Test, 'teardown'>, options: SiteOptions = {}): Promise<Site> {
  if (!existsSync(join(EXPORTED, 'index.html'))) throw new Error('the claim page is not built: npm run build:web')
  const { members = 12, graceMs = 60_000, installDelayMs = 600, gatewayPort, gateway = {}, env = {} } = options
  const [system, browser] = await Promise.all([
    startSystem({
      directory: mkdtempSync(join(tmpdir(), 'klaim-web-')), members, graceMs, ...(gatewayPort === undefined ? {} : { ports: { gateway: gatewayPort } }),
      env: {
        panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: String(installDelayMs), PANEL_DOUBLE_START_DELAY_MS: '200' },
        gateway: {
          RATE_LIMIT_IP_PER_MINUTE: '10000', RATE_LIMIT_JID_PER_MINUTE: '10000', RATE_LIMIT_STATUS_PER_MINUTE: '10000', WEB_DIR: EXPORTED,
          GROUP_INVITE_URL: 'https://chat.whatsapp.com/example', BOT_NUMBER: '6281200000099', PANEL_PUBLIC_URL: 'https://panel.example.invalid', ...gateway,
        },
        provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200' },
        bot: { SEND_GAP_MS: '50', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
        ...env,
      },
    }),
    chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ARGUMENTS }),
  ])
  t.teardown(async () => {
    await browser.close()
    await system.close()
  })
  const url = system.gatewayUrls[0] ?? ''
  return {
    system, url, browser,
    visitor: async ({ allowed, ...options } = {}) => {
      const context = await browser.newContext({ locale: 'id-ID', timezoneId: 'Asia/Jakarta', viewport: { width: 360, height: 740 }, reducedMotion: 'reduce', ...options })
      context.setDefaultTimeout(WAIT_MS)
      const page = await context.newPage()
      const faults: string[] = []
      const own = [url, 'data:', ...(allowed === undefined ? [] : [allowed])]
      watch(page, own, faults)
      context.on('page', (other) => { watch(other, own, faults) })
      return { context, page, faults }
    },
    panel: async (knobs) => { await put(`${system.panelUrl}/__double/knobs`, 'PUT', knobs) },
    whatsapp: async (knobs) => { await put(`${system.whatsappUrl}/knobs`, 'PATCH', knobs) },
  }
}

async function put (url: string, method: string, body: object): Promise<void> {
  const answer = await fetch(url, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(`${method} ${new URL(url).pathname} answered ${answer.status}: ${await answer.text()}`)
}

/** What a page must not do: throw, breach its policy, differ from what was exported, or ask anything of another origin. */
function watch (page: Page, own: readonly string[], faults: string[]): void {
  page.on('pageerror', (error) => { faults.push(error.message) })
  page.on('console', (message) => {
    // Chromium itself reports answers such as 403 and 409, and a lost connection, as errors.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(message.text())
  })
  page.on('request', (request) => { if (!own.some((origin) => request.url().startsWith(origin))) faults.push(`asks ${request.url()}`) })
}

export const numberOf = (member: number): string => `62812${String(member).padStart(8, '0')}`
/** As Indonesians type it. */
export const typedNumberOf = (member: number): string => `0812 ${String(member).padStart(8, '0').slice(0, 4)} ${String(member).padStart(8, '0').slice(4)}`

/** Fills the form in; `press` sends it. */
export async function fillIn (page: Page, number: string, username: string, press = true): Promise<void> {
  await page.fill('#wa_number_e164', number)
  await page.fill('#username', username)
  if (press) await page.click('button[type=submit]')
}

const AXE = readFileSync(resolve(import.meta.dirname, '../../../node_modules/axe-core/axe.min.js'), 'utf8')
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** What axe finds wrong in the page as it stands: rule, and where. */
export async function barriers (page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  return await page.evaluate(async (rules) => {
    interface Found { readonly violations: ReadonlyArray<{ readonly id: string, readonly nodes: ReadonlyArray<{ readonly target: unknown }> }> }
    const { axe } = globalThis as unknown as { axe: { run: (context: Document, options: object) => Promise<Found> } }
    const { violations } = await axe.run(document, { runOnly: rules })
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id} ${String(target)}`))
  }, RULES)
}

/** How far the page is wider than its window, in pixels. */
export const overflow = async (page: Page): Promise<number> => await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
