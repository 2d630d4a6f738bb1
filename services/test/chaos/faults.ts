// Carries faults out on a running system, and takes them back.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SERVICES, type ProcessName, type Service, type System } from '../../../deploy/staging/system.ts'
import { withStreams } from '../crowd.ts'
import { until } from '../journey.ts'
import type { Fault } from './schedule.ts'

export const clockFileOf = (directory: string, service: Service): string => join(directory, `${service}.clock`)

export interface Breaker {
  /** Resolves when the fault has begun; answers how to end it. */
  begin (fault: Fault): Promise<() => Promise<void>>
  /** Everything as it was before the first fault. */
  mend (): Promise<void>
  /** Processes that ended though nobody killed them; they were started again, as a supervisor does. */
  readonly fallen: readonly string[]
  /** No more watching. */
  stop (): void
}

const RESTART_MS = 300

export function createBreaker (system: System, directory: string, names: readonly ProcessName[]): Breaker {
  const fallen: string[] = []
  /** Those that are down by our hand. */
  const down = new Set<string>()
  const frozen = new Set<string>()
  const deadNodes = new Set<string>()
  let isStopped = false

  async function supervise (name: ProcessName): Promise<void> {
    while (!isStopped) {
      const { code, signal } = await system.ended(name)
      if (isStopped) return
      if (!down.has(name)) {
        fallen.push(`${name} ended with ${code ?? signal}`)
        await system.start(name).catch(() => {})
      }
      await delay(RESTART_MS)
    }
  }
  for (const name of names) void supervise(name)

  async function signal (name: string, which: NodeJS.Signals): Promise<void> {
    if (name === 'nats') await system.nats.kill(which)
    else await system.kill(name as ProcessName, which)
  }

  async function rise (name: string): Promise<void> {
    if (!down.has(name)) return
    if (name === 'nats') await system.nats.restart()
    // A service that waits for another that is down comes up with it: nobody waits for that here.
    else void system.start(name as ProcessName).catch(() => {})
    down.delete(name)
  }

  async function thaw (name: string): Promise<void> {
    if (!frozen.delete(name)) return
    await signal(name, 'SIGCONT')
  }

  async function turn (kind: 'panel' | 'wings' | 'whatsapp', knobs: Readonly<Record<string, unknown>>): Promise<void> {
    if (Object.keys(knobs).length === 0) return
    const [url, method, body] = kind === 'whatsapp' ? [`${system.whatsappUrl}/knobs`, 'PATCH', knobs] : [`${system.panelUrl}/__double/knobs`, 'PUT', kind === 'panel' ? { panel: knobs } : { wings: { '*': knobs } }]
    await insist(url, method, body)
  }

  /** The double may be down or frozen itself just now. */
  async function insist (url: string, method: string, body: unknown): Promise<void> {
    await until(`${method} ${new URL(url).pathname}`, async () => {
      const answer = await fetch(url, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(2_000) })
      await answer.body?.cancel()
      return answer.ok ? true : undefined
    }, { waitMs: 30_000 })
  }

  async function killLeader (): Promise<() => Promise<void>> {
    // Between two leaders nobody answers.
    const name = await until('the ledger has a leader', async () => await withStreams(system, async (jsm) => (await jsm.streams.info('CLAIMS')).cluster?.leader))
    const node = system.nats.nodes.get(name)
    if (!node) throw new Error(`the leader is ${name}, which is none of the nodes`)
    deadNodes.add(name)
    await node.kill('SIGKILL')
    return async () => { if (deadNodes.delete(name)) await node.restart() }
  }

  return {
    fallen,
    stop: () => { isStopped = true },
    begin: async (fault) => {
      switch (fault.kind) {
        case 'kill':
          down.add(fault.process)
          await signal(fault.process, 'SIGKILL')
          return async () => { await rise(fault.process) }
        case 'pause':
          frozen.add(fault.process)
          await signal(fault.process, 'SIGSTOP')
          return async () => { await thaw(fault.process) }
        case 'kill-leader': return await killLeader()
        case 'clock':
          writeFileSync(clockFileOf(directory, fault.process), String(fault.stepMs))
          return async () => { writeFileSync(clockFileOf(directory, fault.process), '0') }
        case 'panel':
        case 'wings':
        case 'whatsapp':
          await turn(fault.kind, fault.knobs)
          return async () => { await turn(fault.kind, fault.after) }
        case 'close':
          await insist(`${system.whatsappUrl}/close`, 'POST', { code: fault.code })
          return async () => {}
        case 'false-leaves':
          await insist(`${system.whatsappUrl}/false-leaves`, 'POST', { count: fault.count })
          return async () => {}
        case 'dirty':
          await insist(`${system.whatsappUrl}/dirty`, 'POST', {})
          return async () => {}
        default: return fault satisfies never
      }
    },
    mend: async () => {
      for (const name of frozen) await thaw(name)
      for (const name of deadNodes) {
        deadNodes.delete(name)
        await system.nats.nodes.get(name)?.restart()
      }
      for (const name of down) await rise(name)
      for (const service of SERVICES) writeFileSync(clockFileOf(directory, service), '0')
      await insist(`${system.whatsappUrl}/knobs`, 'DELETE', {})
      await turn('panel', { latencyMs: 20, rateLimit: 100_000, rateWindowMs: 60_000, answerNext: [], maintenance: false, dropAfterCommit: { userCreate: 0, userUpdate: 0, userDelete: 0, serverCreate: 0, serverDelete: 0 } })
      await turn('wings', { mode: { kind: 'ok' }, install: 'success', startsUp: true })
    },
  }
}
