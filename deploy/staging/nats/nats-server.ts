// A real nats-server for tests and the demo: its own port, its own store, the durability of production.
//
//   const nats = await startNats()
//   t.after(() => nats.close())
//   const connection = await connect({ servers: nats.url })
//
// A server never outlives the process that started it, however that process ends.

import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once, type EventEmitter } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** The oldest version whose message schedules were found reliable; scripts/lib/setup.sh asks for the same. */
const versionMin = [2, 14, 3] as const
const readyMsMax = 15_000
const portTriesMax = 5
const ending: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT']

export interface NatsOptions {
  /** Where JetStream keeps its files; kept by `close`. Default: a temporary directory that `close` removes. */
  storeDir?: string
  /** Client port on 127.0.0.1. Default: a free one. */
  port?: number
  /** A complete nats-server configuration, without includes, instead of the built-in one. Addresses, ports and store are still set here. */
  configFile?: string
  /** Makes this server a member of a cluster. Start every member at the same time: JetStream needs a majority of them. */
  clustered?: { name: string, serverName: string, port: number, routePorts: readonly number[] }
}

export interface Nats {
  url: string
  port: number
  /** `${monitoringUrl}/jsz`, `/healthz`, `/varz` … */
  monitoringUrl: string
  storeDir: string
  /** The configuration it was started with; SIGHUP has it read again. */
  configFile: string
  /** What the server says. Made anew at each start, removed by `close`. */
  logFile: string
  /** Of the running server. */
  pid: () => number | undefined
  /** Sends the signal (default SIGKILL) and, for a signal that ends a process, resolves when it has ended. SIGSTOP makes it hang, and resolves when it does. */
  kill: (signal?: NodeJS.Signals) => Promise<void>
  /** Ends the server if it still runs (SIGTERM) and starts it again on the same port and store. */
  restart: () => Promise<void>
  /** Kills the server and removes what `startNats` created. May be called twice. */
  close: () => Promise<void>
}

/** Resolves when the server accepts clients. Rejects with the end of the server's log if it does not within 15 seconds. */
export async function startNats (options: NatsOptions = {}): Promise<Nats> {
  const spawnServer = await starter()
  const directory = await mkdtemp(join(tmpdir(), 'klaim-nats-'))
  const storeDir = options.storeDir ?? join(directory, 'store')
  const configFile = join(directory, 'nats.conf')
  await writeFile(configFile, options.configFile === undefined
    ? configOf(options.clustered)
    : withoutStoreDir(await readFile(options.configFile, 'utf8')))
  const log = join(directory, 'nats.log')

  let child: ServerProcess | undefined
  let port = 0
  let monitoringPort = 0
  const endAtExit = (): void => {
    child?.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', endAtExit)

  const launch = async (): Promise<void> => {
    const args = ['-c', configFile, '-a', '127.0.0.1', '-p', `${port}`, '-m', `${monitoringPort}`, '-sd', storeDir, '-l', log]
    child = await spawnServer(args, { log, directory, storeDir })
    await ready(child, log)
  }
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (child === undefined || hasEnded(child)) return
    child.ref()
    const ended = ending.includes(signal) ? once(child, 'exit') : undefined
    child.kill(signal)
    if (ended) await ended
    else child.unref()
    if (signal === 'SIGSTOP') await standing(child)
  }
  const close = async (): Promise<void> => {
    await kill('SIGKILL')
    process.off('exit', endAtExit)
    await rm(directory, { recursive: true, force: true })
  }

  try {
    // Somebody else may take a port between looking and listening; then others are tried.
    for (let tries = 1; port === 0; tries++) {
      port = options.port ?? await freePort()
      monitoringPort = await freePort()
      try {
        await launch()
      } catch (error) {
        await kill('SIGKILL')
        if (tries >= portTriesMax || options.port !== undefined || !/address already in use/.test(String(error))) throw error
        port = 0
      }
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    monitoringUrl: `http://127.0.0.1:${monitoringPort}`,
    storeDir,
    configFile,
    logFile: log,
    pid: () => child?.pid,
    kill,
    restart: async () => {
      await kill('SIGTERM')
      await launch()
    },
    close
  }
}

/** What is used of the process that serves. */
export type ServerProcess = EventEmitter & Pick<ChildProcess, 'pid' | 'exitCode' | 'signalCode' | 'kill' | 'ref' | 'unref'>
/** Starts nats-server with these arguments; it may end at once. All it reads and writes is below `directory` and `storeDir`, and what it says goes to the file `log`. */
export type StartServer = (args: readonly string[], places: { readonly log: string, readonly directory: string, readonly storeDir: string }) => Promise<ServerProcess>

/** A process of this machine; where NATS_STARTER names a module that exports `startServer: StartServer`, what that starts (scripts/test --containers). */
async function starter (): Promise<StartServer> {
  const module = process.env['NATS_STARTER']
  if (module) return (await import(module) as { startServer: StartServer }).startServer
  const binary = findNatsServer()
  return async (args, { log }) => spawnBound(binary, args, log)
}

/** A caller may take many ports before it listens on the first; of so many, two would be the same every hundredth time. */
const handedOut = new Set<number>()

/**
 * A port of 127.0.0.1 on which nothing listens now. It is below the range from which Linux takes ports for outgoing connections
 * (32768 and up): a port there could be taken while its server is down, even by the client that tries to reconnect to it.
 */
export async function freePort (): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const port = 16_000 + Math.floor(Math.random() * 16_000)
    if (handedOut.has(port)) continue
    const probe = createServer()
    const free = await new Promise<boolean>(resolve => {
      probe.once('error', () => { resolve(false) })
      probe.listen(port, '127.0.0.1', () => { resolve(true) })
    })
    if (!free) continue
    await new Promise(resolve => { probe.close(resolve) })
    handedOut.add(port)
    return port
  }
  throw new Error('no free port found between 16000 and 31999 on 127.0.0.1')
}

/** The first nats-server that is new enough: $NATS_SERVER, then PATH, then what scripts/test keeps in the cache directory. */
function findNatsServer (): string {
  const given = process.env['NATS_SERVER']
  if (given !== undefined && given !== '') {
    if (isNewEnough(given)) return given
    throw new Error(`NATS_SERVER is ${given}, which is not a nats-server ≥ ${versionMin.join('.')}`)
  }
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'klaim')
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean).map(folder => join(folder, 'nats-server'))
  const found = [...onPath, ...cached(cache)].find(isNewEnough)
  if (found === undefined) throw new Error(`nats-server ≥ ${versionMin.join('.')} not found: run scripts/test or set NATS_SERVER`)
  return found
}

function cached (cache: string): string[] {
  try {
    return readdirSync(cache).filter(name => name.startsWith('nats-server-')).map(name => join(cache, name, 'nats-server'))
  } catch {
    return []
  }
}

function isNewEnough (binary: string): boolean {
  const answer = spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 5000 }).stdout ?? ''
  const version = /v(\d+)\.(\d+)\.(\d+)/.exec(answer)?.slice(1).map(Number)
  if (version === undefined) return false
  const at = versionMin.findIndex((part, index) => part !== version[index])
  return at === -1 || (version[at] ?? 0) > (versionMin[at] ?? 0)
}

// `sync_interval: always` as in production: an acknowledged message is on the disk, so a test that kills the server means something.
function configOf (clustered: NatsOptions['clustered']): string {
  const cluster = clustered === undefined
    ? ''
    : `server_name: ${clustered.serverName}\ncluster { name: ${clustered.name}, listen: "127.0.0.1:${clustered.port}", ` +
      `routes: [${clustered.routePorts.map(port => `"nats://127.0.0.1:${port}"`).join(', ')}] }\n`
  return `jetstream { max_memory_store: 64MB, max_file_store: 16GB, sync_interval: always }\n${cluster}`
}

// The store is given on the command line, and nats-server refuses to be told twice.
function withoutStoreDir (config: string): string {
  return config.replace(/\bstore_dir\s*[:=]?\s*("[^"]*"|'[^']*'|[^\s,}]+),?/, '')
}

// An exit handler does not run when this process is killed. Where the system's setpriv can, the kernel ends the server with its parent.
const withParent = spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0 ? ['setpriv', '--pdeathsig', 'KILL'] : []

function spawnBound (binary: string, args: readonly string[], log: string): ChildProcess {
  rmSync(log, { force: true })
  const output = openSync(log, 'a') // What it says before it has read its configuration.
  const [command = binary, ...rest] = [...withParent, binary, ...args]
  const child = spawn(command, rest, { stdio: ['ignore', output, output] })
  closeSync(output)
  child.once('error', () => undefined) // A binary that cannot be run shows as an exit code or as never getting ready.
  child.unref()
  return child
}

// The server's own word, since somebody else's server could be the one that answers on the port.
async function ready (child: ServerProcess, log: string): Promise<void> {
  const until = Date.now() + readyMsMax
  while (!readFileSync(log, 'utf8').includes('Server is ready')) {
    if (hasEnded(child) || child.pid === undefined) throw new Error(`nats-server ended while starting:\n${tail(log)}`)
    if (Date.now() > until) throw new Error(`nats-server was not ready after ${readyMsMax / 1000} s:\n${tail(log)}`)
    await delay(10)
  }
}

/** A signal is only sent by `kill`: on a busy machine the process runs on for a moment. */
async function standing ({ pid }: ServerProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    // The state is the first field behind the name in parentheses (proc(5)); T: stopped.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    if (stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'T') return
    await delay(5)
  }
}

function hasEnded (child: ServerProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function tail (log: string): string {
  return readFileSync(log, 'utf8').trim().split('\n').slice(-8).join('\n')
}
