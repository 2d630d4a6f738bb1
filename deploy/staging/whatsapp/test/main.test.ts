/** The double as a process: what a kill leaves, and how it ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { WASocket } from '@whiskeysockets/baileys'
import { authOf, connect } from './client.ts'

t.teardown(() => { setImmediate(() => process.exit()) })

const main = fileURLToPath(new URL('../main.ts', import.meta.url))
const one = '6281200000001'

interface Running { child: ChildProcess, url: string, controlUrl: string, group: string }

async function run (t: Test, env: Record<string, string>): Promise<Running> {
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, WHATSAPP_DOUBLE_PORT: '0', WHATSAPP_DOUBLE_CONTROL_PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => { child.kill('SIGKILL') })
  const [line] = await once(createInterface(child.stdout), 'line')
  const { url, controlUrl, group } = JSON.parse(String(line))
  return { child, url: String(url), controlUrl: String(controlUrl), group: String(group) }
}

async function call (method: string, url: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(url, { method, ...body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } })
  return { status: response.status, ...Object(await response.json()) }
}

const texts = ({ messages }: Record<string, unknown>) => Array.isArray(messages) ? messages.map((message) => String(Object(message).text)) : []

/** Sends and waits for the server's acknowledgement. */
async function send (sock: WASocket, jid: string, text: string): Promise<void> {
  const id = `3EB0${Buffer.from(text).toString('hex').toUpperCase()}`
  const ack = sock.waitForMessage<{ tag: string }>(id, 5_000)
  await sock.sendMessage(jid, { text, linkPreview: null }, { messageId: id })
  await ack
}

void t.test('a double that is killed', async (t) => {
  const env = { WHATSAPP_DOUBLE_STATE_FILE: `${t.testdir()}/whatsapp.json`, WHATSAPP_DOUBLE_MEMBERS: '3' }
  const before = await run(t, env)
  const auth = authOf(String((await call('POST', `${before.controlUrl}/sessions`, {})).creds))
  const first = connect(t, before, auth)
  await first.next('connection.update', ({ connection }) => connection === 'open')
  const { lid } = await call('GET', `${before.controlUrl}/people/${one}`)
  await send(first.sock, `${String(lid)}@lid`, 'before')
  await call('POST', `${before.controlUrl}/people/${one}/message`, { text: 'answer' })
  await first.next('messages.upsert', ({ messages }) => messages.some(({ message }) => message?.conversation === 'answer'))
  before.child.kill('SIGKILL')
  t.equal(await first.closed(), 428)

  const offline = await run(t, env)
  await call('POST', `${offline.controlUrl}/people/${one}/message`, { text: 'while you were away' })
  await call('POST', `${offline.controlUrl}/people/6281200000002/leave`, {})
  offline.child.kill('SIGKILL')
  await once(offline.child, 'exit')

  const after = await run(t, env)
  const second = connect(t, after, auth)
  t.ok(await second.next('group-participants.update', ({ action }) => action === 'remove'), 'still tells what happened while the bot was away')
  t.ok(await second.next('messages.upsert', ({ messages }) => messages.some(({ message }) => message?.conversation === 'while you were away')))
  await second.next('connection.update', ({ connection }) => connection === 'open')
  t.equal((await second.sock.groupMetadata(after.group)).participants.length, 4, 'still knows the group')
  await send(second.sock, `${String(lid)}@lid`, 'after')
  const chat = await call('GET', `${after.controlUrl}/chats/${one}`)
  t.same(texts(chat), ['before', 'answer', 'while you were away', 'after'], 'still has the chats')
  const deliveries = Array.isArray(chat.deliveries) ? chat.deliveries : []
  t.match(deliveries.at(-1), { outcome: 'read', enc: 'msg' }, 'and its people still have their sessions')

  after.child.kill('SIGTERM')
  const [code] = await once(after.child, 'exit')
  t.equal(code, 0, 'ends by itself when asked to')
})
