import t from 'tap'
import { CHECK_MEMBER_PATH, INTERNAL_SECRET_HEADER } from '../../../contracts/http.ts'
import { sentBucket } from '../../../contracts/streams.ts'
import { transient } from '../../common/fault.ts'
import { createLog } from '../../common/log.ts'
import { createAlertTeller, type AlertTellerOptions } from '../alert-teller.ts'
import { textOf, type Alert, type AlertNotice } from '../alerts.ts'
import { ALERTS_PATH, PAIRING_PATH } from '../internal-http.ts'
import { internalSecret, member, outsider, world, type TestBot, type World } from './harness.ts'

// Baileys leaves timers of up to 30 s behind when a socket ends (7.0.0-rc14, lib/Socket/socket.js); in production the process ends by itself.
t.teardown(() => { setImmediate(() => process.exit()) })

const secret = 'a-secret-for-alerts-that-opens-nothing-else'
const [first, second] = [outsider(1), member(1)]
const told = { ALERTS_SECRET: secret, ALERT_NUMBERS: `${first},${second}` }

const alert = (alertname: string, more: Partial<Alert> = {}): Alert & Record<string, unknown> => ({
  status: 'firing', labels: { alertname, severity: 'page', service: 'claim-store' } as Alert['labels'], startsAt: '2026-11-24T20:00:00.123456789Z', endsAt: '0001-01-01T00:00:00Z',
  annotations: { summary: `It is ${alertname}.`, description: 'More of it.', runbook_url: `RUNBOOK.md#${alertname}` } as Alert['annotations'],
  generatorURL: 'http://prometheus:9090/graph', fingerprint: Buffer.from(alertname).toString('hex').slice(0, 16), ...more,
})
const over = (alertname: string): Alert => alert(alertname, { status: 'resolved' })
const notice = (...alerts: Alert[]): AlertNotice & Record<string, unknown> => ({ version: '4', groupKey: '{}:{}', truncatedAlerts: 0, status: 'firing', receiver: 'page', groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: 'http://alertmanager:9093', alerts })

async function post ({ url }: Pick<TestBot, 'url'>, body: unknown, authorization = `Bearer ${secret}`): Promise<{ status: number, body: unknown }> {
  const response = await fetch(new URL(ALERTS_PATH, url), { method: 'POST', headers: { 'content-type': 'application/json', authorization }, body: JSON.stringify(body) })
  return { status: response.status, body: await response.json() }
}
const texts = ({ whatsapp }: World, number: string): string[] => whatsapp.chat(number).map(({ text }) => text ?? '')

t.test('an alert', async (t) => {
  const here = await world(t)
  const running = await here.bot(told)
  await here.logged('connected to WhatsApp')
  t.same(await post(running, notice(alert('ClaimsStuck'))), { status: 200, body: { told: 1 } })
  for (const admin of [first, second]) t.same(texts(here, admin), ['🔴 ClaimsStuck (page)\nIt is ClaimsStuck.\nRUNBOOK.md#ClaimsStuck'], 'is told to each admin, in the group or not')
  t.same((await post(running, notice(alert('ClaimsStuck')))).body, { told: 0 }, 'that Alertmanager tells again is not')
  t.same((await post(running, notice(alert('ClaimsStuck'), alert('DeadLetters')))).body, { told: 1 }, 'but one that has come beside it')
  t.same((await post(running, notice(over('ClaimsStuck'), over('ApiSlow')))).body, { told: 1 }, 'is told to be over, to those who heard that it began')
  t.same(texts(here, first).slice(1), ['🔴 DeadLetters (page)\nIt is DeadLetters.\nRUNBOOK.md#DeadLetters', '🟢 ClaimsStuck is over.'])
  t.same((await post(running, notice(alert('ClaimsStuck', { startsAt: '2026-11-24T21:00:00Z' })))).body, { told: 1 }, 'that begins anew is another')
  await running.stop()
  const next = await here.bot(told)
  await here.logged('connected to WhatsApp', 2)
  t.same((await post(next, notice(alert('DeadLetters'), over('ClaimsStuck')))).body, { told: 0 }, 'that one bot has told, the next does not')
  t.notOk(here.lines.some((line) => [first, second, secret, 'It is ClaimsStuck'].some((part) => line.includes(part))), 'shows in no log')
})

t.test('who may tell of alerts', async (t) => {
  const here = await world(t)
  const next = 'another-secret-for-alerts-while-it-is-changed'
  const running = await here.bot({ ...told, ALERTS_SECRET: `${secret},${next}` })
  await here.logged('connected to WhatsApp')
  const status = async (authorization: string): Promise<number> => (await post(running, notice(), authorization)).status
  t.same(await Promise.all([`Bearer ${secret}`, `Bearer ${next}`, `Bearer ${next},${secret}`].map(status)), [200, 200, 200], 'whoever has the secret, or the file that holds two while it is changed')
  t.same(await Promise.all(['', 'Bearer ', 'Bearer ,', `Basic ${secret}`, `Bearer ${secret}x`, `Bearer ${internalSecret}`].map(status)), [401, 401, 401, 401, 401, 401], 'and nobody else')
  const withInternal = { method: 'POST', headers: { 'content-type': 'application/json', [INTERNAL_SECRET_HEADER]: internalSecret }, body: JSON.stringify(notice()) }
  t.equal((await fetch(new URL(ALERTS_PATH, running.url), withInternal)).status, 401, 'not the services either')
  for (const path of [CHECK_MEMBER_PATH, PAIRING_PATH]) t.equal((await fetch(new URL(path, running.url), { method: path === PAIRING_PATH ? 'GET' : 'POST', headers: { authorization: `Bearer ${secret}`, [INTERNAL_SECRET_HEADER]: secret } })).status, 401, `which does not open ${path}`)

  t.match(await post(running, { alerts: [] }), { status: 400, body: { error: { code: 'INVALID_REQUEST', message: /required/ } } }, 'of another version of the message')
  t.match(await post(running, notice({ ...alert('X'), fingerprint: '../..' })), { status: 400 })
  t.match(await post(running, notice(...Array.from({ length: 101 }, (_, n) => alert(`A${n}`)))), { status: 400 }, 'of too many')
  t.match(await post(running, notice(alert('X', { annotations: { summary: 'x'.repeat(300_000) } }))), { status: 413 }, 'of bounded size')
})

t.test('where nobody is to be told', async (t) => {
  const here = await world(t, { linked: false })
  const running = await here.bot({ ALERTS_SECRET: secret })
  t.same(await post(running, notice(alert('ClaimsStuck'))), { status: 200, body: { told: 0 } }, 'Alertmanager may be set up all the same')
  const without = await here.bot()
  t.equal((await post(without, notice(alert('ClaimsStuck')))).status, 401, 'and without the secret there is no door')
})

t.test('while WhatsApp is away', async (t) => {
  const here = await world(t, { linked: false })
  const running = await here.bot(told)
  t.match(await post(running, notice(alert('ClaimsStuck'))), { status: 503, body: { error: { code: 'BOT_OFFLINE' } } }, 'Alertmanager is to try again')
  await here.link()
  await running.stop()
  const next = await here.bot(told)
  await here.logged('connected to WhatsApp')
  here.whatsapp.turnKnobs({ cut: { when: 'before-ack', remaining: 1 } })
  const answer = await here.until('it is told', async () => {
    const { status, body } = await post(next, notice(alert('ClaimsStuck')))
    return status === 200 ? body : undefined
  })
  t.same(answer, { told: 1 })
  for (const admin of [first, second]) t.equal(texts(here, admin).length, 1, 'what was sent twice, because an acknowledgement was lost, is shown once')
})

t.test('what WhatsApp refuses', async (t) => {
  const here = await world(t)
  const running = await here.bot({ ...told, ALERT_NUMBERS: `${first},6281400000099,${second}` })
  await here.logged('connected to WhatsApp')
  here.whatsapp.turnKnobs({ refuseSends: { code: 463, remaining: -1 } })
  await post(running, notice(alert('ClaimsStuck')))
  await post(running, notice(alert('ClaimsStuck')))
  t.same([first, second].map((admin) => here.whatsapp.deliveries(admin).filter(({ own }) => !own).length), [1, 1], 'is not tried again')
  here.whatsapp.turnKnobs({ refuseSends: null })
  t.same((await post(running, notice(alert('DeadLetters')))).body, { told: 1 }, 'and one who has no WhatsApp keeps it from nobody')
  t.same([first, second].map((admin) => texts(here, admin).length), [1, 1])
})

t.test('a storm of alerts', async (t) => {
  const { bus } = await world(t, { linked: false })
  const sent = await (await bus('bot')).bucket(sentBucket)
  const said: string[] = []
  let time = 0
  let fails = 0
  const options: AlertTellerOptions = {
    sent, admins: [first, second], perHourMax: 3, isOpen: () => true, now: () => time, log: createLog('bot', 'fatal'), numbers: { addressee: async (phone) => ({ phone }) },
    sender: { send: async (to, text, id) => {
      if (fails-- > 0) throw transient('WHATSAPP_NO_ACK', 'no answer')
      said.push(`${to.phone} ${id} ${text}`)
      return { kind: 'accepted' }
    } },
  }
  const tell = createAlertTeller(options)
  for (let n = 0; n < 50; n++) await tell(notice(alert(`Storm${n}`, { fingerprint: `a${n}` })))
  t.equal(said.length, 6, 'is three messages to each of two admins within an hour')
  await tell(notice(alert('Storm49', { fingerprint: 'a49' })))
  time += 3_600_000
  await tell(notice(alert('Storm49', { fingerprint: 'a49' })))
  t.match(said.at(-1), /Storm49 \(page\)[^]*\n\n46 before these were not told/, 'then those that go on are told, and how many were not')

  fails = 4
  await t.rejects(tell(notice(alert('Unheard'))), { code: 'WHATSAPP_NO_ACK' }, 'what nobody could be told is told again')
  fails = 3
  const from = said.length
  t.equal(await tell(notice(alert('Unheard'))), 1, 'what one of them has is told')
  t.equal(said.length - from, 1)
  t.equal(await createAlertTeller(options)(notice(alert('Unheard'))), 0, 'also by the next bot')
  const many = Array.from({ length: 50 }, (_, n) => createAlertTeller({ ...options, perHourMax: 60 })(notice(alert('Once', { fingerprint: `b${n % 5}` }))))
  await Promise.all(many)
  t.equal(new Set(said.slice(from + 1).map((line) => line.split(' ')[1])).size, 10, 'however many tell of one at once, it has one id for each admin')
  const slow = createAlertTeller({ ...options, sent: { ...sent, get: async () => await new Promise(() => {}) } })
  const waiting = Array.from({ length: 30 }, async () => await slow(notice(alert('Waits'))))
  t.same((await Promise.allSettled(waiting.slice(21))).map((outcome) => outcome.status === 'rejected' && (outcome.reason as { code: string }).code), Array(9).fill('WHATSAPP_BUSY'), 'and not more wait than can be told')
})

t.test('the text', async (t) => {
  t.notMatch(textOf([alert('A', { annotations: { summary: 'Call +62 812-0000-0001 or 6281200000001.' } })], { heldBack: 0, more: 0 }), /0000/, 'holds no number, even if an alert does')
  const text = textOf(Array.from({ length: 12 }, (_, n) => alert(`A${n}`)), { heldBack: 0, more: 3 })
  t.match(text, /A7 \(page\)[^]*And 7 more: look at Alertmanager\.$/, 'is short enough to be read')
  t.equal(textOf([alert('A', { labels: { alertname: 'A' }, annotations: {} })], { heldBack: 0, more: 0 }), '🔴 A')
})
