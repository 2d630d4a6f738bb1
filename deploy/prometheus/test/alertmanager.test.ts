import t from 'tap'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { outsider, world } from '../../../services/bot/test/harness.ts'
import { scratch } from '../../../services/common/test/scratch.ts'
import { PROMETHEUS, rules, run } from './promtool.ts'
import { startAlertmanager, startPrometheus, startReceiver, startTarget, until, type Door } from './watch.ts'

// A socket that has uploaded pre-keys leaves a timer of 30 s behind when it ends (Baileys 7.0.0-rc14, lib/Socket/socket.js).
t.teardown(() => { setImmediate(() => process.exit()) })

const alerts = rules.filter(({ alert }) => alert !== undefined)
/** Minutes are seconds. */
const FACTOR = 60
const NEVER_QUIET = 'DeletionOfPresentMember'

t.test('the configuration', async (t) => {
  const checked = run('AMTOOL', 'check-config', 'alertmanager.yml')
  t.equal(checked.status, 0, `is one to amtool${checked.status === 0 ? '' : `: ${checked.said}`}`)
  for (const { alert = '', labels = {} } of alerts) {
    const { said } = run('AMTOOL', 'config', 'routes', 'test', '--config.file=alertmanager.yml', `alertname=${alert}`, ...Object.entries(labels).map(([name, value]) => `${name}=${value}`))
    const expected = alert === 'Watchdog' ? 'dead-mans-switch' : labels['severity'] === 'ticket' ? 'tickets' : labels['service'] === 'bot' ? 'on-call' : 'on-call-and-admins'
    t.ok(said.split('\n').includes(expected), `${alert} goes to ${expected}`)
  }
  const { inhibit_rules: quieting } = parse(readFileSync(join(PROMETHEUS, 'alertmanager.yml'), 'utf8')) as { inhibit_rules: Array<{ source_matchers: string[], target_matchers: string[] }> }
  const named = quieting.flatMap(({ source_matchers: sources, target_matchers: targets }) => [...sources, ...targets]).flatMap((matcher) => /^alertname !?=~? "(.*)"$/.exec(matcher)?.[1]?.split('|') ?? [])
  const names = new Set(alerts.map(({ alert }) => alert))
  t.ok(named.length > 20, 'there are names to look at')
  t.same(named.filter((name) => !names.has(name)), [], 'keeps no alert quiet that is not there')
  const mayBeQuiet = (matcher: string): boolean => {
    const [, operator = '', value = ''] = /^alertname (!~|=~|=) "(.*)"$/.exec(matcher) ?? []
    const isNamed = value.split('|').includes(NEVER_QUIET)
    return operator === '!~' ? !isNamed : isNamed
  }
  t.same(quieting.filter(({ target_matchers: targets }) => targets.every(mayBeQuiet)), [], `and never ${NEVER_QUIET}`)
})

t.test('from a metric to the telephone', async (t) => {
  const directory = scratch(t)
  const secret = 'a-secret-for-alerts-that-opens-nothing-else'
  const secretFile = join(directory, 'alerts_secret')
  writeFileSync(secretFile, secret, { mode: 0o600 })
  const admin = outsider(1)
  const { bot, whatsapp, logged } = await world(t)
  const running = await bot({ ALERTS_SECRET: secret, ALERT_NUMBERS: admin })
  await logged('connected to WhatsApp')
  const chat = (): string[] => whatsapp.chat(admin).map(({ text }) => text ?? '')

  const open = async <Opened extends Door>(opening: Promise<Opened>): Promise<Opened> => {
    const door = await opening
    t.teardown(door.close)
    return door
  }
  const { address: to, heard } = await open(startReceiver())
  let letters = 0
  const { address: service } = await open(startTarget(() => `# TYPE klaim_dead_letters gauge\nklaim_dead_letters{service="claim-store"} ${letters}\n`))
  const { address: alertmanager } = await open(startAlertmanager(directory, { to, bot: running.url.replace(/\/$/, ''), secretFile, factor: FACTOR }))
  await open(startPrometheus(directory, { alertmanager, services: Object.fromEntries(['gateway', 'claim-store', 'provisioner', 'reaper', 'notifier', 'bot'].map((name) => [name, service])) }))
  const said = (receiver: string, alertname: string, status = 'firing') => heard.filter(({ to: path }) => path === `/${receiver}`).flatMap((each) => each.alerts).filter(({ labels, status: is }) => labels['alertname'] === alertname && is === status)
  const arrives = async (receiver: string, alertname: string, status?: string) => await until(`${alertname} at ${receiver}`, () => said(receiver, alertname, status)[0])

  t.match(await arrives('dead-mans-switch', 'Watchdog'), { labels: { severity: 'none' } }, 'the watchdog comes to its switch')
  t.same(chat(), [], 'and to nobody else')
  letters = 2
  t.match(await arrives('on-call', 'DeadLetters'), { labels: { severity: 'page', service: 'claim-store' } }, 'two dead letters come to who is on call')
  t.match(await until('the chat', () => chat()[0]), /^🔴 DeadLetters \(page\)\n2 messages could not be handled\.\nRUNBOOK\.md#alert-dead-letters$/, 'and to an admin by chat')
  letters = 0
  await arrives('on-call', 'DeadLetters', 'resolved')
  t.equal(await until('the end in the chat', () => chat()[1]), '🟢 DeadLetters is over.', 'so does their end')

  const post = async (...labels: Array<Record<string, string>>): Promise<void> => {
    const { ok } = await fetch(`http://${alertmanager}/api/v2/alerts`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(labels.map((each) => ({ labels: { severity: 'page', ...each }, annotations: { summary: `${each['alertname']}.` } }))) })
    if (!ok) throw new Error('Alertmanager takes no alert')
  }
  await post({ alertname: 'ServiceDown', service: 'bot' }, { alertname: 'BotDeaf', service: 'bot' }, { alertname: NEVER_QUIET }, { alertname: 'ClaimFailed', severity: 'ticket', service: 'claim-store' }, { alertname: 'ClaimsStuck', service: 'claim-store' })
  for (const alertname of ['ServiceDown', NEVER_QUIET, 'ClaimsStuck']) await arrives('on-call', alertname)
  await arrives('tickets', 'ClaimFailed')
  t.same(said('on-call', 'BotDeaf'), [], 'what follows from a service that is down is not said beside it')
  await until('all who are told by chat', () => chat().length === 4 || undefined)
  t.same(chat().slice(2).map((text) => text.split('\n', 1).join()).toSorted(), ['🔴 ClaimsStuck (page)', `🔴 ${NEVER_QUIET} (page)`], 'and of the bot itself the bot does not tell')
})
