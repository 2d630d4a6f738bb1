/** What only the double has: ports that listen, lost answers, knobs over HTTP, and a state that outlives the process. */
import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { panelUnderTest } from './panel-under-test.ts'
import { startPanel } from '../panel.ts'
import type { Panel } from '../panel.ts'

delete process.env.PANEL_URL

const address = (panel: Panel, id: number) => panel.state().servers.find(server => server.id === id)!.address
const answers = (address: string) => fetch(`http://${address}`).then(response => response.ok, () => false)

/** Awaits a state of the double; a test that waits in vain ends with tap's own timeout. */
async function until (isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!await isSo()) await sleep(5)
}

t.test('a server that is installed and started listens on its allocation until it is gone', async t => {
  const panel = await panelUnderTest(t, { wings: { install: 'success', installDelayMs: 10 } })
  const { id } = await panel.makeServer({ start_on_completion: true })
  const at = address(panel.double!, id)
  await until(() => panel.double!.state().servers[0]!.listens)
  t.equal((await panel.call('GET', `/servers/${id}`)).attributes.status, null)
  t.ok(await answers(at))
  await panel.call('POST', `/servers/${id}/suspend`)
  t.notOk(await answers(at), 'suspended')
  await panel.call('POST', `/servers/${id}/unsuspend`)
  t.notOk(await answers(at), 'unsuspending does not start it')
  panel.double!.power(id, 'start')
  await until(() => answers(at))
  await panel.call('POST', `/servers/${id}/reinstall`)
  await until(async () => (await panel.call('GET', `/servers/${id}`)).attributes.status === null)
  t.notOk(await answers(at), 'nor does a reinstall')
  panel.double!.power(id, 'start')
  await until(() => answers(at))
  await panel.call('DELETE', `/servers/${id}`)
  t.notOk(await answers(at), 'deleted')
})

t.test('a server does not listen if it was not to be started, failed, never starts, or finds its port taken', async t => {
  const lines: string[] = []
  const panel = await panelUnderTest(t, { wings: { install: 'success' }, log: line => lines.push(line) })
  const settled = async (special: object) => {
    const { id } = await panel.makeServer(special)
    await until(() => panel.double!.state().servers.find(server => server.id === id)!.status !== 'installing')
    return id
  }
  t.notOk(await answers(address(panel.double!, await settled({ start_on_completion: false }))))
  panel.double!.setWings({ startsUp: false })
  t.notOk(await answers(address(panel.double!, await settled({ start_on_completion: true }))))
  panel.double!.setWings({ startsUp: true, install: 'failure' })
  t.notOk(await answers(address(panel.double!, await settled({ start_on_completion: true }))))

  panel.double!.setWings({ install: 'success' })
  const body = await panel.serverBody({ start_on_completion: true })
  const { attributes } = (await panel.call('GET', `/nodes/1/allocations?per_page=100`)).json!.data.find((item: { attributes: { id: number } }) => item.attributes.id === body.allocation.default)
  const other = createServer((_request, response) => { response.writeHead(500).end() }).listen(attributes.port, attributes.ip)
  await once(other, 'listening')
  t.teardown(() => { other.close() })
  await panel.call('POST', '/servers', body)
  await until(() => lines.length > 0)
  t.same(lines, [`cannot listen on ${attributes.ip}:${attributes.port}: EADDRINUSE`])
  t.equal((await panel.call('GET', '/users')).status, 200, 'and the panel goes on')
})

t.test('a forced deletion leaves the container on a node that is gone', async t => {
  const panel = await panelUnderTest(t, { wings: { install: 'success' } })
  const { id, uuid } = await panel.makeServer({ start_on_completion: true })
  await until(() => panel.double!.state().servers[0]!.listens)
  const at = address(panel.double!, id)
  panel.double!.setWings({ mode: { kind: 'refuse' } })
  t.equal((await panel.call('DELETE', `/servers/${id}/force`)).status, 204)
  t.same(panel.double!.state().orphans, [uuid])
  t.ok(await answers(at))
  t.ok(panel.double!.removeContainer(uuid))
  t.notOk(await answers(at))
})

t.test('an answer can be lost after its commit', async t => {
  const panel = await panelUnderTest(t)
  const double = panel.double!
  double.setKnobs({ dropAfterCommit: { userCreate: 1, serverCreate: 1, userUpdate: 1, serverDelete: 1, userDelete: 1 } })
  const user = panel.userBody()
  await t.rejects(panel.call('POST', '/users', user))
  const { id } = (await panel.call('GET', `/users/external/${user.external_id}`)).attributes
  await t.rejects(panel.call('PATCH', `/users/${id}`, { ...user, first_name: 'New' }))
  t.equal((await panel.call('GET', `/users/${id}`)).attributes.first_name, 'New')
  const body = await panel.serverBody({ user: id })
  await t.rejects(panel.call('POST', '/servers', body))
  const server = (await panel.call('GET', `/servers/external/${body.external_id}`)).attributes
  t.equal(server.status, 'installing')
  await t.rejects(panel.call('DELETE', `/servers/${server.id}`))
  t.equal((await panel.call('DELETE', `/servers/${server.id}`)).status, 404)
  await t.rejects(panel.call('DELETE', `/users/${id}`))
  t.equal((await panel.call('DELETE', `/users/${id}`)).status, 404)
  t.match(double.state().requests, { 'POST /users': { total: 1, statuses: { 201: 1 } }, 'POST /servers': { total: 1, statuses: { 201: 1 } } })

  double.setKnobs({ answerNext: [{ route: 'GET /users/{user}', status: 502, times: 1 }] })
  t.equal((await panel.call('GET', '/users')).status, 200)
  t.equal((await panel.call('GET', '/users/1')).status, 502)
  t.equal((await panel.call('GET', '/users/1')).status, 200)

  double.setKnobs({ debug: true })
  const { text, errors } = await panel.call('POST', '/servers', {})
  t.ok(text.length > 50_000, 'debug bodies are long')
  t.match(errors[0], { code: 'ValidationException', meta: { source_field: 'name', rule: 'required', trace: [/^#0/] } })
})

t.test('the double is driven over HTTP, and shows no password', async t => {
  const panel = await panelUnderTest(t)
  const double = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${panel.url}/__double/${path}`, { method, ...body === undefined ? {} : { body: JSON.stringify(body) } })
    return [response.status, await response.json()]
  }
  const user = await panel.makeUser({ first_name: '<b>', email: 'a<b@example.invalid'.replace('<', '+') })
  t.same(await double('POST', 'login', { username: user.username.toUpperCase(), password: 'not-a-secret-1' }), [200, { accepted: true }])
  t.same(await double('POST', 'login', { email: user.email, password: 'wrong' }), [200, { accepted: false }])
  t.match(await double('PUT', 'knobs', { panel: { rateLimit: 7 }, wings: { 2: { mode: { kind: 'hang', ms: 5 } } } }),
    [200, { panel: { rateLimit: 7 }, wings: { 1: { mode: { kind: 'ok' } }, 2: { mode: { kind: 'hang', ms: 5 } } } }])
  t.same(await double('PUT', 'knobs', { panel: { nonsense: 1 } }), [400, { error: 'PANEL_DOUBLE_KNOB_UNKNOWN: nonsense' }])
  t.same(await double('PUT', 'knobs', { panel: { workers: 'x' } }), [400, { error: 'PANEL_DOUBLE_KNOB_INVALID: workers' }])
  t.same(await double('POST', 'nonsense'), [400, { error: 'PANEL_DOUBLE_ACTION_UNKNOWN' }])
  t.same(await double('POST', 'remove-server', { id: 99 }), [404, { error: 'PANEL_DOUBLE_NOT_FOUND' }])
  const server = await panel.makeServer({ user: user.id })
  t.same(await double('POST', 'remove-server', { id: server.id }), [200, { done: true }])
  const [, state] = await double('GET', 'state')
  t.match(state, { servers: [], serverCreates: 1, tooManyRequests: 0, users: [{ username: 'admin' }, {}, {}, { username: user.username }] })
  const page = await (await fetch(panel.url)).text()
  t.match(page, 'a+b@example.invalid')
  for (const shown of [page, JSON.stringify(state)]) t.notMatch(shown, /not-a-secret|ptl[ac]_|passwordHash/)
})

t.test('a double that is killed comes back with what it had', async t => {
  const stateFile = join(t.testdir(), 'panel.json')
  const key = `ptla_${'k'.repeat(43)}`
  const ip = `127.63.${process.pid >> 8 & 255}.${Math.max(1, process.pid & 255)}`
  async function start (restartOf = 'panel') {
    const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'main.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PANEL_DOUBLE_KEY: key, PANEL_DOUBLE_PORT: '0', PANEL_DOUBLE_STATE_FILE: stateFile, PANEL_DOUBLE_ALLOCATION_IP: ip,
        PANEL_DOUBLE_INSTALL_DELAY_MS: '0', PANEL_DOUBLE_START_DELAY_MS: '0', PANEL_DOUBLE_RESTART_OF: restartOf, PANEL_DOUBLE_PASSWORD_HASH_MS: '0', PANEL_DOUBLE_LATENCY_MS: '0' }
    })
    t.teardown(() => child.kill('SIGKILL'))
    for await (const line of createInterface(child.stdout)) {
      const url = /^panel double ready at (.*)$/.exec(line)?.[1]
      if (url === undefined) continue
      const call = async (method: string, path: string, body?: unknown) => {
        const response = await fetch(url + path, { method, headers: { authorization: `Bearer ${key}`, accept: 'application/json', 'content-type': 'application/json' }, ...body === undefined ? {} : { body: JSON.stringify(body) } })
        return response.json() as Promise<any> // oxlint-disable-line typescript/no-explicit-any -- answers are what is under test
      }
      return { child, call }
    }
    throw new Error('the double did not start')
  }
  const first = await start()
  const user = await first.call('POST', '/api/application/users', { email: 'a@example.invalid', username: 'abc', first_name: 'A', last_name: 'B', password: 'not-a-secret-1' })
  const create = async (name: string, allocation: number) => first.call('POST', '/api/application/servers', {
    external_id: name, name, user: user.attributes.id, egg: 15, docker_image: 'node', startup: 'node', environment: { USER_UPLOAD: '0', AUTO_UPDATE: '0', MAIN_FILE: 'index.js' },
    limits: { memory: 1, swap: 0, disk: 1, io: 500, cpu: 0 }, feature_limits: { databases: 0, backups: 0 }, allocation: { default: allocation }, start_on_completion: true
  })
  await create('running', 1)
  const servers = async ({ call }: typeof first) => (await call('GET', '/__double/state')).servers
  await until(async () => (await servers(first))[0].listens)
  await first.call('PUT', '/__double/knobs', { wings: { '*': { installDelayMs: 200 } } })
  await create('interrupted', 2)
  await first.call('PUT', '/__double/knobs', { wings: { '*': { install: 'never' } } })
  await create('stuck', 3)
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')

  const second = await start()
  t.same(await second.call('POST', '/__double/login', { username: 'abc', password: 'not-a-secret-1' }), { accepted: true })
  await until(async () => (await servers(second))[1].listens)
  t.match(await servers(second), [
    { id: 1, status: null, externalId: 'running', listens: true, address: `${ip}:20100` },
    { id: 2, status: null, externalId: 'interrupted', listens: true },
    { id: 3, status: 'installing', externalId: 'stuck', listens: false }
  ])
  second.child.kill('SIGTERM')
  t.same(await once(second.child, 'exit'), [0, null], 'it ends on SIGTERM')

  const third = await start('machine')
  t.match((await servers(third))[2], { status: null, listens: false }, 'a node that restarted has forgotten the install')
  t.match(await third.call('DELETE', '/api/application/servers/3').catch(() => 'empty'), 'empty')
  third.child.kill('SIGTERM')
  await once(third.child, 'exit')
})

t.test('a panel that is started again in the same process keeps users, ports and, if it is given, its key', async t => {
  const stateFile = join(t.testdir(), 'panel.json')
  const first = await startPanel({ stateFile })
  const ask = async ({ url }: Panel, path: string) => (await fetch(`${url}/api/application${path}`, { headers: { authorization: `Bearer ${first.applicationKey}`, accept: 'application/json', connection: 'close' } })).json()
  const before = [await ask(first, '/users'), await ask(first, '/nodes/1?include=allocations')]
  await first.close()
  const second = await startPanel({ stateFile, applicationKey: first.applicationKey, port: Number(new URL(first.url).port) })
  t.teardown(() => second.close())
  t.equal(second.url, first.url)
  t.same([await ask(second, '/users'), await ask(second, '/nodes/1?include=allocations')], before)
})

t.test('application keys are made and deleted while it runs', async t => {
  const panel = await startPanel()
  t.teardown(() => panel.close())
  const statusWith = async (key: string) => (await fetch(`${panel.url}/api/application/users`, { headers: { authorization: `Bearer ${key}`, accept: 'application/json', connection: 'close' } })).status
  const key = `ptla_${'k'.repeat(43)}`
  t.equal(await statusWith(key), 401)
  panel.addKey(key)
  t.same([await statusWith(key), await statusWith(panel.applicationKey)], [200, 200], 'both are taken')
  t.equal(panel.removeKey(panel.applicationKey), true)
  t.same([await statusWith(key), await statusWith(panel.applicationKey)], [200, 401])
})

t.test('it closes at once while a create waits for Wings', async t => {
  const panel = await startPanel({ wings: { mode: { kind: 'hang', ms: 60_000 } } })
  const creating = fetch(`${panel.url}/api/application/servers`, {
    method: 'POST', headers: { authorization: `Bearer ${panel.applicationKey}`, accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'waiting', user: 1, egg: 15, docker_image: 'node', startup: 'node', environment: { USER_UPLOAD: '0', AUTO_UPDATE: '0', MAIN_FILE: 'index.js' },
      limits: { memory: 1, swap: 0, disk: 1, io: 500, cpu: 0 }, feature_limits: { databases: 0, backups: 0 }, allocation: { default: 1 }
    })
  })
  const lost = t.rejects(creating)
  await until(() => panel.state().servers.length === 1)
  const began = Date.now()
  await panel.close()
  t.ok(Date.now() - began < 10_000, 'long before Wings, or the panel, would give up')
  await lost
})
