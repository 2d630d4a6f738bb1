// Nothing leaks: the whole journey at the most talkative log level, then a search of everything that was written, shown, answered or sent for
// every password, every key and every number, in every form. What may stand where is the table below; all else is to be clean.
import t from 'tap'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { sessionBucket } from '../../contracts/streams.ts'
import { freePort } from '../../deploy/staging/nats/nats-server.ts'
import { openDirectory } from '../../deploy/secrets/directory.ts'
import { SERVICES, startSystem } from '../../deploy/staging/system.ts'
import { connectNats } from '../common/connect.ts'
import { needlesOfLid, needlesOfNumber, needlesOfText, type Kind, type Needle } from './leak/needles.ts'
import { startPanelBetween } from './leak/panel-between.ts'
import { askMachineDoors, filesOf, messagesOf, processesOf, servicesOf, streamsOf, wireOf } from './leak/places.ts'
import { createSearch, type Found, type Piece } from './leak/search.ts'
import { keysIn, keysOfSession } from './leak/secrets.ts'
import { CHOSEN_PASSWORD, createStory, member, TRIES_PER_MINUTE } from './leak/story.ts'
import { createVisitor, listen } from './leak/witness.ts'
import { startReceiver } from './otlp.ts'

/** Where what may stand, and does: a place in which it is not found would prove nothing about the search. */
const MAY_STAND: Readonly<Record<string, readonly Kind[]>> = {
  // Events say whose they are, in their data alone. SERVERS and DELETIONS go by pseudonyms.
  'bodies of MEMBERS': ['number'], 'blocks of MEMBERS': ['number'],
  'bodies of CLAIMS': ['number'], 'blocks of CLAIMS': ['number'],
  'bodies of MESSAGES': ['number'], 'blocks of MESSAGES': ['number'],
  'bodies of DEAD_LETTERS': ['number'], 'blocks of DEAD_LETTERS': ['number'],
  // Which LID is which number is what the roster is for.
  'bodies of KV_roster': ['number', 'lid'], 'blocks of KV_roster': ['number', 'lid'],
  'bodies on the wire': ['number', 'lid'],
  'files below book/': ['number'],
  // To whoever typed it, and to whoever asked with the internal secret.
  page: ['number'],
  'membership that was asked for': ['number'],
  'files below secrets/': ['key'],
  // The outside world.
  'what the panel was told': ['number', 'password', 'key'],
  'file panel.json': ['number'],
  // A session's keys are those of both of its sides.
  'file whatsapp.json': ['number', 'lid', 'password', 'key'],
}

/** Of a flood the beginning says enough. */
const LEAKS_SHOWN = 40

const directory = mkdtempSync(join(tmpdir(), 'klaim-leak-'))
t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
const panelPort = await freePort()
const traces = await startReceiver()
t.teardown(() => { traces.close() })
const panel = await startPanelBetween(`http://127.0.0.1:${panelPort}`)
t.teardown(() => panel.close())
const system = await startSystem({
  directory, graceMs: 4_000, members: 10, ports: { panel: panelPort },
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000', RATE_LIMIT_JID_PER_MINUTE: String(TRIES_PER_MINUTE) },
    provisioner: { PANEL_URL: panel.url, INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100', LOST_CREATE_WAIT_MS: '1000' },
    reaper: { SWEEP_EVERY_MS: '500', POSTPONE_MS: '500', BRAKE_DEPARTURES_MIN: '50' },
    bot: { SEND_GAP_MS: '20', LEASE_MS: '1500', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100' },
    all: { LOG_LEVEL: 'trace', TMPDIR: directory, HOME: directory, OTEL_EXPORTER_OTLP_ENDPOINT: traces.url, OTEL_BSP_SCHEDULE_DELAY: '200' },
  },
})
t.teardown(() => system.close())
const operator = await connectNats(system.nats.access('operator'), 'operator')
t.teardown(() => operator.close())
const wire = listen(operator)
const visitor = createVisitor()
const secrets = openDirectory(system.secretsDirectory)
const story = createStory({ system, visitor, panel, secret: (variable) => secrets.text(variable.toLowerCase()) })

async function listOf<Each> (source: AsyncIterable<Each>): Promise<Each[]> {
  const list: Each[] = []
  for await (const each of source) list.push(each)
  return list
}

t.test('nothing leaks', async (t) => {
  await t.test('all that people, an outside bot, an operator and a panel say', async (t) => {
    t.same(await story.refusedAtTheForm(), [400, 403, 400, 400, 400, 400, 400, 400, 413, 400, 404, 404, 405, 403, 403, 403, 429], 'refused claims')
    t.same(await story.refusedAtThePage(), [403, 400, 404], 'refused by the page')
    t.same(await story.noticesOfAnOutsideBot(), [202, 'NONCE_USED', 'INVALID_SIGNATURE', 'STALE_TIMESTAMP', 'WRONG_GROUP', 'INVALID_REQUEST', 'INVALID_REQUEST'], 'notices')
    t.same(await story.internalPort(), [401, 401, 400, 400, 413, 404, 200, 200], 'the internal port')
    await Promise.all([story.talksAboutSecrets(member(1)), story.isRefusedByThePanel(member(2))])
    await story.isHardToReach(member(3))
    await Promise.all([story.leaves(member(1)), story.carelessOperator()])
    await story.meetsAForgetfulBot(member(3), member(4))
  })

  const shown = [...processesOf(system), ...await listOf(servicesOf(operator))]
  await askMachineDoors(system, visitor)
  // Their last words are searched, too.
  for (const name of SERVICES) await system.kill(name, 'SIGTERM')

  const people = await (await fetch(`${system.whatsappUrl}/people`)).json() as Array<{ number: string, lid: string, name: string }>
  const session = await listOf(messagesOf(await jetstreamManager(operator), `KV_${sessionBucket.name}`))
  const needles: Needle[] = [
    ...people.flatMap(({ number, lid, name }) => [...needlesOfNumber(`the number of ${name}`, number), ...needlesOfLid(`the LID of ${name}`, lid)]),
    ...needlesOfText('password', 'the password of the form', CHOSEN_PASSWORD),
    ...panel.passwords().flatMap((password, index) => needlesOfText('password', `password ${index + 1} of the panel`, password)),
    ...keysIn(system.secretsDirectory),
    ...keysOfSession([...session, ...wire.messages()], secrets.text('session_key')),
  ]
  const search = createSearch(needles)
  const stored = async (): Promise<Piece[]> => [...await listOf(streamsOf(operator)), ...filesOf(directory, system.nats.logFile)]
  const pieces = [
    ...shown, ...visitor.answers(), ...wireOf(wire.messages()), ...await stored(),
    ...traces.bodies.map((bytes) => ({ place: 'traces', part: 'a call', bytes })),
    ...panel.crossed().map((bytes) => ({ place: 'what the panel was told', part: 'a call', bytes })),
  ]
  const found = search(pieces)
  const isAllowed = ({ place, needle }: Found): boolean => MAY_STAND[place]?.includes(needle.kind) ?? false
  t.comment(`${needles.length} forms of secrets looked for in ${pieces.length} parts of ${new Set(pieces.map(({ place }) => place)).size} places`)

  await t.test('stands where it may not', async (t) => {
    const leaks = found.filter((each) => !isAllowed(each)).map(({ place, part, needle: { what, form }, around }) => `${place}, ${part}: ${what} ${form}: ${around}`)
    t.same(leaks.slice(0, LEAKS_SHOWN), [], `${leaks.length} leaks`)
  })

  await t.test('but what may stand somewhere is found there', async (t) => {
    for (const [place, kinds] of Object.entries(MAY_STAND)) {
      for (const kind of kinds) t.ok(found.some((each) => each.place === place && each.needle.kind === kind), `${place}: ${kind}`)
    }
    t.ok(panel.passwords().length >= 6, 'passwords were set')
    for (const name of ['rootKey', 'privKey', 'private', 'advSecretKey']) t.ok(needles.some(({ what }) => what === `${name} of the WhatsApp session`), `a ${name} is looked for`)
  })

  await t.test('in all that was ever written', async (t) => {
    const places = new Set(pieces.map(({ place }) => place))
    for (const place of [
      'log of nats-server', 'API', 'page', 'claim page', 'internal port', 'health port /metrics', 'monitoring of nats-server', '$SRV.INFO', '$SRV.STATS', 'process cmdline', 'process environ',
      'subjects and headers of SERVERS', 'blocks of SERVERS', 'blocks of KV_sent', 'blocks of KV_whatsapp_session', 'descriptions of streams and consumers', 'subjects and headers on the wire', 'traces',
    ]) t.ok(places.has(place), place)
    const text = (place: string): string => pieces.filter((piece) => piece.place === place).map(({ bytes }) => Buffer.from(bytes).toString()).join('')
    for (const name of SERVICES) t.match(text(`log of ${name}`), '"msg":"service stopped"', `${name} was heard to its end`)
    t.same(SERVICES.filter((name) => !traces.spans.some(({ service }) => service === name)), [], 'every service told of its work')
    t.match(text('log of bot'), '"said":"failed to decrypt message"', 'messages could not be decrypted')
    t.match(text('log of provisioner'), '"code":"PANEL_REFUSED"', 'the panel refused')
    t.match(text('log of bot'), '"WHATSAPP_REACHOUT_LOCKED"', 'WhatsApp refused')
  })

  await t.test('and what is planted is found', async (t) => {
    const [number = '', password = '', key = ''] = [people[2]?.number, panel.passwords()[0], secrets.text('ledger_keys').split(',')[0]]
    const jid = `${number}@s.whatsapp.net`
    appendFileSync(join(system.logDirectory, 'notifier.log'), `{"note":"${password}"}\n`)
    appendFileSync(join(system.logDirectory, 'reaper.log'), `${Buffer.from(`{"wa_jid":"${jid}"}`).toString('base64')}\n`)
    appendFileSync(join(directory, 'left-behind.txt'), Buffer.from(key, 'hex').toString('base64'))
    const js = jetstream(operator)
    await js.publish('servers.x.progressed', JSON.stringify({ wa_jid: jid }))
    await js.publish(`$KV.provisioning.${Buffer.from(jid).toString('base64url')}`, password)
    const planted = new Set(search(await stored()).filter((each) => !isAllowed(each)).map(({ place, needle: { kind } }) => `${place}: ${kind}`))
    for (const each of [
      'log of notifier: password', 'log of reaper: number', 'file left-behind.txt: key', 'bodies of SERVERS: number', 'blocks of SERVERS: number',
      'subjects and headers of KV_provisioning: number', 'bodies of KV_provisioning: password', 'blocks of KV_provisioning: password',
    ]) t.ok(planted.has(each), each)
  })
})
