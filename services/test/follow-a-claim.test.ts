import t from 'tap'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { startSystem } from '../../deploy/staging/system.ts'
import { scratch } from '../common/test/scratch.ts'
import { actor, until } from './journey.ts'

// docs/follow-a-claim.md as an operator reads it: its commands, in its order, in one shell, about a claim that came and went.
const ROOT = resolve(import.meta.dirname, '../..')
const COMMAND_MS_MAX = 60_000
const directory = scratch(t)
const system = await startSystem({
  directory, graceMs: 5_000, members: 4, outsiders: 1,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200' },
    bot: { SEND_GAP_MS: '50', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
  },
})
t.teardown(async () => { await system.close() })

/** Each fenced block of commands, with the word that stands behind `sh`. */
const blocks = [...readFileSync(join(ROOT, 'docs/follow-a-claim.md'), 'utf8').matchAll(/^```sh ?(\w*)\n([^]*?)^```$/gm)].map(([, kind = '', commands = '']) => ({ kind, commands }))
const kept = join(directory, 'kept')
writeFileSync(kept, '')

const person = actor(system, '6281200000001')
const { body: { claim_id: claimId } } = await person.claim()
const env = {
  PATH: process.env['PATH'], HOME: process.env['HOME'], NATS_URL: system.nats.url, NATS_NKEY_SEED_FILE: join(system.secretsDirectory, 'nats_operator.nk'),
  CLAIM: claimId, LOGS: system.logDirectory, ROOT, ...(process.env['NATS_CLI'] === undefined ? {} : { NATS_CLI: process.env['NATS_CLI'] }),
}

/** `MEMBER` is remembered from block to block, as it is in a shell that stays open. */
const scriptOf = (commands: string): string => `set -eo pipefail\nnats () { "$ROOT/scripts/nats" "$@"; }\n. ${kept}\n${commands}\n[ -z "\${MEMBER:-}" ] || echo "MEMBER=$MEMBER" > ${kept}\n`

function carriedOut (commands: string, wrapped: readonly string[] = []): string {
  const file = join(directory, 'commands.sh')
  writeFileSync(file, scriptOf(commands))
  const [program = 'bash', ...args] = [...wrapped, ...(wrapped.length > 0 ? [`bash ${file}`, '/dev/null'] : ['bash', file])]
  const { status, stdout, stderr } = spawnSync(program, args, { env, encoding: 'utf8', timeout: COMMAND_MS_MAX, input: '' })
  if (status !== 0) throw new Error(`ended with ${status}: ${commands}${stderr}${stdout}`)
  return stdout
}

t.test('a claim that came and went', async (t) => {
  await until('it is active', async () => (await person.progress(claimId)).status === 'active' || undefined)
  await person.leave()
  await until('it is deleted', async () => (await person.progress(claimId)).status === 'deleted' || undefined)
  t.equal((await actor(system, '6281200000900').claim()).status, 403, 'somebody else is refused')
  const story = (): string => readFileSync(join(system.logDirectory, 'bot.log'), 'utf8')
  await until('the farewell arrives', async () => /"message.delivered".*"kind":"deleted"/.test(story()) || undefined)

  const said = blocks.filter(({ kind }) => kind !== 'live').map(({ kind, commands }) => ({ commands, output: carriedOut(commands, kind === 'pages' ? ['script', '-qec'] : []) }))
  const of = (part: string): string => said.find(({ commands }) => commands.includes(part))?.output ?? ''
  t.match(of('klaim why'), new RegExp(`claim-store +took the claim[^]*WhatsApp took that the server is gone\n\nClaim ${claimId} of member \\w{20}\nNow: +over`), 'is told in one command')
  t.notMatch(of('klaim why'), /62812/)
  t.match(JSON.parse(of('del(.wa_jid)')), { claim_id: claimId, status: 'deleted', member_id: /^[a-z2-7]{20}$/ }, 'stands where it does')
  const told = of('sort_by(.time)').split('\n').filter(Boolean).map((line) => line.split('\t').slice(2).join(' ').trim())
  t.same(['claim-store claim.requested', 'provisioner server.progressed probe', 'bot message.delivered login', 'bot member.left', 'reaper deletion.confirmed', 'claim-store claim.deleted', 'bot message.delivered deleted'].filter((line) => !told.includes(line)), [],
    'has its story in the logs')
  t.equal(of('.level != "info"'), '', 'in which nothing needed a person')
  t.match(of('uniq -c'), /^ *1 NOT_MEMBER$/m, 'and others are refused for a reason')

  const ledger = of('--headers-only')
  t.same([...ledger.matchAll(/^ce-type: klaim\.claim\.(\w+)\.v1$/gm)].map(([, name]) => name), ['requested', 'activated', 'deletion_scheduled', 'deletion_started', 'deleted'], 'is on the ledger')
  t.same(of('{step, attempt').split('\n').filter(Boolean).map((line) => (JSON.parse(line) as { step: string | null }).step), ['queued', 'account', 'port', 'create', 'install', 'probe', null, null], 'has its steps on the panel')
  t.match(of('--stream MEMBERS'), /subject: members\.\w+\.left[^]*subject: deletions\.confirmed\./, 'and its departure')
  t.match(of('stream subjects MESSAGES'), new RegExp(`messages.delivered.login-${claimId}[^]*no dead letter`), 'its messages')
  t.match(of('stream get CLAIMS --last-for'), /ce-type: klaim\.claim\.activated\.v1/, 'each event')
  t.match(of('stream view'), /deletion_started[^]*\.deleted/, 'also page by page')
  t.equal(of('unique[]'), '', 'has no traces where they are off')
  t.match(of('grep ce-causation'), new RegExp(`ce-causation: server.ready.v1:${claimId}[^]*"server_id": 1`), 'and its cause')
})

t.test('as it happens', async (t) => {
  const live = blocks.filter(({ kind }) => kind === 'live')
  t.equal(live.length, 2)
  const heard = live.map(({ commands }, n) => {
    const file = join(directory, `live-${n}.sh`)
    writeFileSync(file, scriptOf(commands))
    // In a process group of its own, which is what Ctrl-C ends.
    const child = spawn('bash', [file], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const watch = { child, output: '' }
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => { watch.output += chunk })
    return watch
  })
  t.teardown(async () => { await Promise.all(heard.map(async ({ child }) => { if (child.exitCode === null && child.signalCode === null && child.pid) { process.kill(-child.pid, 'SIGKILL'); await once(child, 'close') } })) })
  await until('the first one listens', async () => heard[0]?.output.includes('Subscribing') || undefined)
  const { body: { claim_id: other } } = await actor(system, '6281200000002').claim()
  const last = [`messages.delivered.login-${other}`, `bot\tmessage.delivered\t${other}`]
  for (const [n, { output: _ }] of heard.entries()) await until(`${live[n]?.commands} shows the login`, async () => heard[n]?.output.includes(last[n] ?? '') || undefined)
  t.match(heard[0]?.output, /claims\.\w+\.requested[^]*servers\.[\w-]+\.ready[^]*claims\.\w+\.activated/, 'the streams show it')
  // Each log by itself is shown in order.
  for (const line of ['claim-store\tclaim.requested', 'provisioner\tserver.ready', 'notifier\tmessage.outbound']) t.ok(heard[1]?.output.includes(line), `the logs show ${line}`)
  const numbers = ['6281200000001', '6281200000002', '6281200000900']
  t.same(numbers.filter((number) => heard.some(({ output }) => output.includes(number))), [], 'and nobody by number')
})
