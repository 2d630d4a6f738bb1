/**
 * The nodes' daemons, as a model inside the panel's process. What it does to the panel is what Wings does:
 *   create     calls the panel back for the configuration, which needs a second worker, then answers; installs in the background
 *   installed  calls the panel back again (ten tries over 30 s while the panel is not there), then starts the server
 *   delete     of a server it does not know is a 404, which the panel takes for done
 * A call that times out has had no effect: by the time a slow Wings asks for the configuration the row is gone.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { randomUUID } from 'node:crypto'
import { daemonAnswered, daemonUnreachable } from './errors.ts'
import { createListeners } from './listeners.ts'
import { defaultWingsKnobs } from './knobs.ts'
import { pause } from './pause.ts'
import type { Knobs, WingsCall, WingsKnobs } from './knobs.ts'
import type { Container, Server, ServerStatus, State } from './state.ts'
import type { WorkerPool } from './worker-pool.ts'

const CALLBACK_TRIES_MAX = 10
const CALLBACK_TRY_EVERY_MS = 3_000

export interface WingsContext { state: State, knobs: Knobs, workers: WorkerPool, log: (line: string) => void, wings?: Partial<WingsKnobs> }
export type Wings = ReturnType<typeof createWings>

export function createWings ({ state, knobs, workers, log, wings: initial = {} }: WingsContext) {
  const nodes = new Map<number, WingsKnobs>()
  const timers = new Map<string, NodeJS.Timeout>()
  const listeners = createListeners(log)
  const closing = new AbortController()
  for (const id of state.nodes.keys()) nodes.set(id, { ...defaultWingsKnobs(), ...initial })

  const later = (uuid: string, ms: number, act: () => void) => {
    clearTimeout(timers.get(uuid))
    timers.set(uuid, setTimeout(() => { timers.delete(uuid); act() }, ms))
  }

  /** One HTTP call of the panel to the daemon, in the mode that is set, within the panel's timeout. */
  async function call (nodeId: number, kind: WingsCall, work: (timeout: AbortSignal) => Promise<void> | void): Promise<void> {
    const node = nodes.get(nodeId)!
    const mode = node[kind] ?? node.mode
    if (mode.kind === 'refuse') throw daemonUnreachable()
    if (mode.kind === 'status') throw daemonAnswered(mode.status, 'An unexpected error was encountered while processing this request.', randomUUID())
    const timeout = AbortSignal.any([closing.signal, AbortSignal.timeout(Math.max(1, knobs.guzzleTimeoutMs))])
    try {
      if (mode.kind === 'hang') await sleep(mode.ms, undefined, { signal: timeout })
      await work(timeout)
    } catch (error) {
      if (timeout.aborted) throw daemonUnreachable()
      throw error
    }
  }

  const missing = () => daemonAnswered(404, 'The requested resource does not exist on this instance.', randomUUID())

  function beginInstall (container: Container, isReinstall: boolean): void {
    const { install: outcome, installDelayMs } = nodes.get(container.nodeId)!
    stop(container)
    container.install = { isReinstall, dueAt: Date.now() + installDelayMs, outcome }
    state.commit()
    awaitInstall(container)
  }

  function awaitInstall (container: Container): void {
    const { install } = container
    if (install === null || install.outcome === 'never') return
    later(container.uuid, Math.max(0, install.dueAt - Date.now()), () => void reportInstall(container, install.outcome === 'success', install.isReinstall))
  }

  /** The call-back needs a worker like any request, and is tried again while the panel is down for maintenance. */
  async function reportInstall (container: Container, isSuccessful: boolean, isReinstall: boolean): Promise<void> {
    for (let tries = 1; tries <= CALLBACK_TRIES_MAX; tries++) {
      if (closing.signal.aborted || state.containers.get(container.uuid) !== container) return
      if (!knobs.maintenance) {
        const release = await workers.acquire()
        if (!closing.signal.aborted) installFinished(container.uuid, isSuccessful, isReinstall)
        release()
        return
      }
      await sleep(CALLBACK_TRY_EVERY_MS, undefined, { signal: closing.signal }).catch(() => {})
    }
    log(`the install call-back of ${container.uuid} was given up: the server stays installing`)
  }

  function start (container: Container): void {
    const { startDelayMs, startsUp } = nodes.get(container.nodeId)!
    if (!startsUp) return
    container.isRunning = true
    state.commit()
    later(container.uuid, startDelayMs, () => void listeners.open(container.uuid, container.ip, container.port))
  }

  function stop (container: Container): void {
    clearTimeout(timers.get(container.uuid))
    timers.delete(container.uuid)
    listeners.close(container.uuid)
    container.isRunning = false
  }

  function remove (uuid: string): boolean {
    const container = state.containers.get(uuid)
    if (container === undefined) return false
    stop(container)
    state.containers.delete(uuid)
    state.commit()
    return true
  }

  /** The panel's side of the call-back, also reachable as POST /api/remote/servers/{uuid}/install. False: no such server. */
  function installFinished (uuid: string, isSuccessful: boolean, isReinstall: boolean): boolean {
    const server = state.serverBy(one => one.uuid === uuid)
    const container = state.containers.get(uuid)
    if (container !== undefined) container.install = null
    if (server !== undefined) {
      const failed: ServerStatus = isReinstall ? 'reinstall_failed' : 'install_failed'
      if (server.status !== 'suspended') server.status = isSuccessful ? null : failed
      server.updatedAt = Date.now()
    }
    state.commit()
    // Only a first install starts the server; a suspended one may not run.
    if (container?.startOnCompletion === true && isSuccessful && !isReinstall && server?.status === null) start(container)
    return server !== undefined
  }

  return {
    nodes,
    listeners,
    remove,
    installFinished,

    async create (server: Server, startOnCompletion: boolean): Promise<void> {
      await call(server.nodeId, 'create', async timeout => {
        // The call-back for the configuration is a request like any other.
        const release = await workers.acquire(timeout)
        await pause(knobs.latencyMs)
        release()
        const { ip, port } = state.allocations.get(server.allocationId)!
        const container: Container = {
          uuid: server.uuid, nodeId: server.nodeId, name: server.name, ip, port, startOnCompletion, install: null, isRunning: false
        }
        state.containers.set(server.uuid, container)
        beginInstall(container, false)
      })
    },

    async delete (server: Server): Promise<void> {
      await call(server.nodeId, 'delete', () => { if (!remove(server.uuid)) throw missing() })
    },

    /** Tells the daemon the new settings; a suspended server is stopped at once, an unsuspended one waits to be started. */
    async sync (server: Server, isSuspended: boolean): Promise<void> {
      await call(server.nodeId, 'sync', () => {
        const container = state.containers.get(server.uuid)
        if (container === undefined) throw missing()
        if (isSuspended && container.isRunning) stop(container)
        state.commit()
      })
    },

    async reinstall (server: Server): Promise<void> {
      await call(server.nodeId, 'reinstall', () => {
        const container = state.containers.get(server.uuid)
        if (container === undefined) throw missing()
        beginInstall(container, true)
      })
    },

    /** What a user does with the power buttons. False: the daemon does not know the server. */
    power (uuid: string, signal: 'start' | 'stop'): boolean {
      const container = state.containers.get(uuid)
      if (container === undefined) return false
      if (signal === 'start') start(container)
      else if (container.install === null) stop(container)
      state.commit()
      return true
    },

    /** A restarted daemon has forgotten its installs and says so: the panel makes every `installing` server of the node normal. */
    restarted (nodeId: number): void {
      for (const container of state.containers.values()) {
        if (container.nodeId !== nodeId || container.install === null) continue
        clearTimeout(timers.get(container.uuid))
        container.install = null
      }
      for (const server of state.servers.values()) if (server.nodeId === nodeId && server.status === 'installing') server.status = null
      state.commit()
    },

    /**
     * After a restart of the double. `panel`: only the panel was gone, so its nodes worked on; an install that ended
     * meanwhile is reported now, unless Wings has given up by then (30 s). `machine`: the nodes were gone too.
     */
    async resume (after: 'panel' | 'machine'): Promise<void> {
      if (after === 'machine') for (const id of nodes.keys()) this.restarted(id)
      for (const container of state.containers.values()) {
        if (container.isRunning) await listeners.open(container.uuid, container.ip, container.port)
        const isGivenUp = container.install !== null && Date.now() - container.install.dueAt > CALLBACK_TRIES_MAX * CALLBACK_TRY_EVERY_MS
        if (isGivenUp) log(`the install call-back of ${container.uuid} was given up: the server stays installing`)
        else awaitInstall(container)
      }
    },

    close (): void {
      closing.abort()
      for (const timer of timers.values()) clearTimeout(timer)
      listeners.closeAll()
    }
  }
}
