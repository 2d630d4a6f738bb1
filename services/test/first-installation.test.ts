// The first installation as the runbook has it, by its own commands and files: from an empty directory to a member who has a login. Of others are only
// the addresses, the panel and WhatsApp, which are doubles, and nats-server, which is started with a configuration in one piece.
import t, { type Test } from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDirectory } from '../../deploy/secrets/directory.ts'
import { natsSeedsIn, startKlaimNats } from '../../deploy/staging/klaim-nats.ts'
import { linkBot } from '../../deploy/staging/link.ts'
import { freePort } from '../../deploy/staging/nats/nats-server.ts'
import { newPanelKey } from '../../deploy/staging/secrets.ts'
import { startWhatsApp } from '../../deploy/staging/whatsapp/whatsapp.ts'
import { scratch } from '../common/test/scratch.ts'
import { numberOf } from './crowd.ts'
import { actor, PASSWORD, until } from './journey.ts'
import { NUMBERED, operatorOf, type Meaning, type Operator } from './operator.ts'
import { procedure, walk } from './procedures.ts'
import { fileBelow, ROOT, runbook } from './runbook.ts'

const TITLE = 'First installation.'
const GROUP = '120363000000000007@g.us'
const directory = scratch(t)
const at = (...parts: string[]): string => join(directory, ...parts)
const local = (port: number): string => `127.0.0.1:${port}`
const port = { panel: await freePort(), nats: await freePort(), gateway: await freePort(), bot: await freePort() }
const health: number[] = []
for (let n = 0; n < NUMBERED.length; n++) health.push(await freePort())

const panelKey = newPanelKey()
const panelUrl = `http://${local(port.panel)}`
const panel = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, join(ROOT, 'deploy/staging/panel/main.ts')], {
  stdio: 'ignore',
  env: { PATH: process.env['PATH'], PANEL_DOUBLE_PORT: String(port.panel), PANEL_DOUBLE_KEY: panelKey, PANEL_DOUBLE_INSTALL_DELAY_MS: '200', PANEL_DOUBLE_START_DELAY_MS: '50', PANEL_DOUBLE_ALLOCATION_IP: '127.64.7.1' },
})
t.teardown(async () => {
  panel.kill('SIGTERM')
  await once(panel, 'exit')
})
// The bot's account is in a group of another id than the page has for an example.
const whatsapp = await startWhatsApp({ members: 2 })
t.teardown(() => whatsapp.close())
whatsapp.addGroup(GROUP, 'Members')
whatsapp.remove(whatsapp.botNumber)
for (const number of [whatsapp.botNumber, numberOf(1), numberOf(2)]) whatsapp.join(number, 'admin', GROUP)
await until('the panel answers', async () => (await fetch(`${panelUrl}/__double/state`)).ok || undefined)

const site = {
  nats: { url: `nats://${local(port.nats)}`, nodes: new Map() }, gatewayUrls: [`http://${local(port.gateway)}`], panelUrl, whatsappUrl: whatsapp.controlUrl, botUrl: `http://${local(port.bot)}`,
  secretsDirectory: at('klaim'), logDirectory: at('log'), healthUrl: (name: string) => `http://${local(health[NUMBERED.findIndex((each) => each === name)] ?? 0)}`,
}
const places: Meaning[] = [
  ['/var/lib/klaim', at('lib')], ['/var/backups/klaim', at('backups')], ['https://panel.example.org', panelUrl], ['-o klaim', `-o ${process.getuid?.() ?? 0}`],
  ...NUMBERED.map((_, n): Meaning => [String(9201 + n), String(health[n])]),
  // The bot has to trust the double of WhatsApp.
  ['"services/$1/main.ts"', '$([ "$1" = bot ] && echo --import ./deploy/staging/whatsapp/trust-root.ts) "services/$1/main.ts"'],
]
const whole = operatorOf(site, directory, { places })
/** Whoever installs has set nothing yet. */
const unset = `unset ${Object.keys(whole.env).filter((name) => /_(?:URLS?|FILE|DIRECTORY)$|^(?:LOGS|CLAIM_EMAIL_DOMAIN)$/.test(name)).join(' ')}; `
const operator: Operator = { ...whole, run: async (command, call) => await whole.run(unset + command, call) }
const does = walk('First installation.', operator)
const settings = at('lib', 'settings.env')

/** They go on when the shell that started them has ended. */
const pidOf = (service: string): number | undefined => { try { return Number(readFileSync(at('lib', `${service}.pid`), 'utf8')) } catch { return undefined } }
const end = (signal: NodeJS.Signals): void => {
  for (const pid of NUMBERED.map(pidOf)) {
    try {
      if (pid) process.kill(pid, signal)
    } catch {}
  }
}
process.once('exit', () => { end('SIGKILL') })
t.teardown(() => { end('SIGTERM') })

async function ready (t: Test, times: number, more = ''): Promise<void> {
  await does(t, 11, { prints: new RegExp(`^(?:[^]*"status":"ready"){${times}}${more}`) })
}

t.test('secrets, and the panel', async (t) => {
  await does(t, 1)
  t.same(['klaim', 'lib', 'backups', 'log'].map((name) => (statSync(at(name)).mode & 0o777).toString(8)), ['700', '700', '700', '700'])
  await does(t, 2, { prints: /^made member_id_key, /m })
  await does(t, 3, { input: panelKey })
  t.notMatch(await does(t, 4, { prints: /^✓ panel_key$/m }), /✗/)
  await does(t, 5, { prints: /^✓ nodejs:/m })
})

t.test('NATS', async (t) => {
  const [, users, , topology] = procedure('Set NATS up')
  t.match((await operator.run(users?.command ?? '')).said, /^KLAIM_USERS: \[/m)
  const nats = await startKlaimNats({ seeds: natsSeedsIn(openDirectory(site.secretsDirectory)), storeDir: at('nats'), port: port.nats, bare: true })
  t.teardown(() => nats.close())
  t.match((await whole.run(topology?.command ?? '')).said, /are there\.$/m)

  await t.test('the services', async (t) => {
    const added = `\nHTTP_HOST=127.0.0.1\nHTTP_PORT=${port.gateway}\nINTERNAL_PORT=${port.bot}\nWHATSAPP_URL=${whatsapp.url}\nINSTALL_POLL_EVERY_MS=200\nPROBE_EVERY_MS=100\nSEND_GAP_MS=20\n`
    writeFileSync(settings, operator.meant(fileBelow(runbook, TITLE, 'ini')) + added)
    writeFileSync(at('lib', 'services.sh'), operator.meant(fileBelow(runbook, TITLE, 'sh file')))
    await does(t, 10)
    await ready(t, 5, '[^]*"whatsapp":"linking"')

    await linkBot({ botUrls: [site.botUrl], whatsappUrl: whatsapp.controlUrl, internalSecret: openDirectory(site.secretsDirectory).text('internal_secret'), waitMs: 60_000 })
    await does(t, 13, { prints: new RegExp(GROUP) })
    writeFileSync(settings, readFileSync(settings, 'utf8').replace(/^GROUP_ID=.*$/m, `GROUP_ID=${GROUP}`))
    const before = [pidOf('bot'), pidOf('gateway')]
    await does(t, 14)
    const again = procedure(TITLE)[13]?.command ?? ''
    t.equal((await operator.run(again.replaceAll('bot', 'gateway').replace('9206', '9201'))).code, 0, 'the same for gateway')
    t.notOk([pidOf('bot'), pidOf('gateway')].some((pid) => pid === undefined || before.includes(pid)), 'both are others now')
    await ready(t, 6)

    const member = actor(site, numberOf(1))
    const { status, body: { claim_id: claimId } } = await member.claim()
    t.equal(status, 202)
    await until('the member has a server', async () => (await member.progress(claimId)).status === 'active' || undefined)
    await until('and a login', async () => (await member.chat()).some(({ from, text }) => from === 'bot' && PASSWORD.test(text)) || undefined)

    t.equal((await operator.run(`. /var/lib/klaim/services.sh; ${NUMBERED.map((service) => `stop ${service}`).join('; ')}`)).code, 0, 'each stops when it is told to')
  })
})
