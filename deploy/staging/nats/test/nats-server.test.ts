import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import t from 'tap'
import { freePort, startNats } from '../nats-server.ts'

const moduleUrl = new URL('../nats-server.ts', import.meta.url).href

await t.test('a message survives kill -9 and a restart on the same port', async t => {
  const nats = await startNats()
  t.after(() => nats.close())
  const before = await connect({ servers: nats.url, reconnect: false })
  await (await jetstreamManager(before)).streams.add({ name: 'KEPT', subjects: ['kept'] })
  await jetstream(before).publish('kept', 'still here')
  await nats.kill('SIGKILL')
  await before.closed()
  await t.rejects(connect({ servers: nats.url, reconnect: false }), 'nothing listens in between')

  await nats.restart()
  const after = await connect({ servers: nats.url, reconnect: false })
  t.after(() => after.close())
  const stored = await (await jetstreamManager(after)).streams.getMessage('KEPT', { seq: 1 })
  t.equal(stored?.string(), 'still here')
})

await t.test('a running server can be restarted, and two run at once with stores of their own', async t => {
  const [one, two] = await Promise.all([startNats(), startNats()])
  t.after(() => Promise.all([one.close(), two.close()]))
  t.not(one.port, two.port)
  t.not(one.storeDir, two.storeDir)
  await one.restart()
  for (const nats of [one, two]) {
    const connection = await connect({ servers: nats.url, reconnect: false })
    t.after(() => connection.close())
    await (await jetstreamManager(connection)).streams.add({ name: 'MINE', subjects: ['mine'] })
    t.equal((await jetstream(connection).publish('mine', 'x')).seq, 1)
  }
})

await t.test('acknowledged means on the disk, in the store it was given', async t => {
  const storeDir = t.testdir()
  const nats = await startNats({ storeDir })
  t.after(() => nats.close())
  const answer = await (await fetch(`${nats.monitoringUrl}/jsz`)).json()
  t.match(answer, { config: { sync_always: true, store_dir: new RegExp(`^${storeDir}`) } })
  await nats.close()
  await access(storeDir)
  await nats.close()
})

await t.test('a configuration file decides everything but addresses and store', async t => {
  const directory = t.testdir({ 'nats.conf': 'port: 4222\nlog_file: "/nowhere/log"\njetstream { store_dir: "/nowhere", sync_interval: always }\nauthorization { token: fake }\n' })
  const nats = await startNats({ configFile: `${directory}/nats.conf` })
  t.after(() => nats.close())
  await t.rejects(connect({ servers: nats.url, reconnect: false }), { name: 'AuthorizationError' })
  const connection = await connect({ servers: nats.url, token: 'fake', reconnect: false })
  t.after(() => connection.close())
  t.match((await (await fetch(`${nats.monitoringUrl}/jsz`)).json()), { config: { store_dir: new RegExp(`^${nats.storeDir}`) } })
})

await t.test('clustered servers find each other', async t => {
  const routePorts = await Promise.all([freePort(), freePort(), freePort()])
  const servers = await Promise.all(routePorts.map(async (port, index) =>
    await startNats({ clustered: { name: 'test', serverName: `n${index}`, port, routePorts } })))
  t.after(() => Promise.all(servers.map(async server => { await server.close() })))
  await untilDone(async () => {
    const [first] = servers
    const routes = await (await fetch(`${first?.monitoringUrl}/routez`)).text()
    if (!routes.includes('"n1"') || !routes.includes('"n2"')) throw new Error(`no routes to n1 and n2: ${routes}`)
  })
})

await t.test('a taken port is an error that shows why', async t => {
  const port = await freePort()
  const taken = createServer().listen(port, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => { taken.close() })
  await t.rejects(startNats({ port }), { message: /address already in use/ })
})

await t.test('without a binary the error says what to do', async t => {
  const code = `import { startNats } from '${moduleUrl}'\nawait startNats().catch(error => { console.log(error.message) })`
  const run = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    return (await child.stdout.setEncoding('utf8').toArray()).join('').trim()
  }
  const empty = { PATH: '/nowhere', XDG_CACHE_HOME: t.testdir() }
  t.equal(await run(empty), 'nats-server ≥ 2.14.3 not found: run scripts/test or set NATS_SERVER')
  t.equal(await run({ ...empty, NATS_SERVER: '/bin/true' }), 'NATS_SERVER is /bin/true, which is not a nats-server ≥ 2.14.3')
})

await t.test('a server ends with the process that started it', async t => {
  for (const end of ['process.exit(0)', 'process.kill(process.pid, "SIGKILL")', 'undefined']) {
    const code = `import { startNats } from '${moduleUrl}'\nconst nats = await startNats()\n` +
      `process.stdout.write(String(nats.port), () => { ${end} })`
    const env = { ...process.env, TMPDIR: t.testdir() } // A killed process cannot tidy up.
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const port = Number((await child.stdout.setEncoding('utf8').toArray()).join(''))
    t.ok(port > 0)
    await untilDone(async () => { if (await listens(port)) throw new Error(`still there after ${end}`) })
  }
})

async function listens (port: number): Promise<boolean> {
  const socket = createConnection(port, '127.0.0.1')
  return await new Promise(resolve => {
    socket.once('error', () => { resolve(false) })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

// For what servers do in their own time and nobody announces.
async function untilDone<T> (action: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await action()
    } catch (error) {
      if (tries === 100) throw error
      await new Promise(resolve => { setTimeout(resolve, 50) })
    }
  }
}
