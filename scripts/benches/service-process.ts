// One service as a process, as it runs in production.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeArgsFor, PROCESS_ENV } from '../../deploy/process.ts'
import { freePort } from '../../deploy/staging/nats/nats-server.ts'
import { SERVICES, type Service, type System } from '../../deploy/staging/system.ts'

/** Where services are started: packed as in the image (scripts/bench), or as they are. */
export const PROGRAMS = process.env['KLAIM_PACKED'] ?? resolve(import.meta.dirname, '../..')
const READY_MS_MAX = 120_000

export interface ServiceProcess {
  /** From the start of the process to its being ready, in milliseconds. */
  readonly readyMs: number
  readonly pid: number
  readonly url: string
  stop (): Promise<void>
}

export async function startService (service: Service, env: Readonly<Record<string, string>>, directory: string): Promise<ServiceProcess> {
  const port = await freePort()
  const log = join(directory, `${service}.log`)
  const output = openSync(log, 'a', 0o600)
  const began = performance.now()
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, ...nodeArgsFor(service), `services/${service}/main.ts`], {
    cwd: PROGRAMS, stdio: ['ignore', output, output],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], LANG: 'C.UTF-8', ...PROCESS_ENV, HEALTH_PORT: String(port), ...env },
  })
  closeSync(output)
  const url = `http://127.0.0.1:${port}`
  for (; ; await delay(5)) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.ok) break
    if (child.exitCode !== null || performance.now() - began > READY_MS_MAX) throw new Error(`${service} did not get ready: ${readFileSync(log, 'utf8').slice(-2_000)}`)
  }
  return {
    readyMs: performance.now() - began, pid: child.pid ?? 0, url,
    stop: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** What a process holds in memory, in MB (proc(5), VmRSS). */
export function residentMb (pid: number): number {
  const [, kb = NaN] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kb) / 1_024
}

const TICKS_PER_SECOND = 100

/** What a process has used of the processors since its start, in milliseconds, its threads and what the kernel did for it included (proc(5), stat). */
function processorMs (pid: number): number {
  // The name of the process, in brackets, may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND * 1_000
}

/** By name. */
export type Amounts = ReadonlyMap<string, number>

/** What each process has used of the processors, in milliseconds. Who visits, and measures, runs on them as well. */
export function processorsOf (system: System): Amounts {
  const pids = [...(['panel', 'whatsapp', ...SERVICES] as const).map((name) => [name, system.pid(name)] as const), ['nats-server', system.nats.pid()], ['the visitors', process.pid]] as const
  return new Map(pids.map(([name, pid]) => [name, processorMs(pid ?? 0)]))
}

export const since = (before: Amounts, now: Amounts): Map<string, number> => new Map([...now].map(([name, amount]) => [name, amount - (before.get(name) ?? NaN)]))
