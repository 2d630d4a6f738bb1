// nats-server in a container, for the same tests: scripts/test --containers has startNats use it (NATS_STARTER). The container shares this machine's network
// and the server's directories, so that addresses, files and signals are those of a process here.
import { spawnSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { GenericContainer, getContainerRuntimeClient } from 'testcontainers'
import type { ServerProcess, StartServer } from './nats-server.ts'

/** As docker-compose.yml has it, unless KLAIM_TEST_NATS_IMAGE names another. */
const IMAGE = process.env['KLAIM_TEST_NATS_IMAGE'] || 'nats:2.15.0-alpine@sha256:ac8f88a6494bffc2c2a5289a0ca61cb28a9145c11ba5677cf24265d07f46d8d4'

type Container = ReturnType<Awaited<ReturnType<typeof getContainerRuntimeClient>>['container']['dockerode']['getContainer']>

export const startServer: StartServer = async (args, { log, directory, storeDir }) => {
  // Docker would make them for root, and what an earlier start said is not what this one says.
  mkdirSync(storeDir, { recursive: true })
  rmSync(log, { force: true })
  writeFileSync(log, '')
  const container = await new GenericContainer(IMAGE)
    .withNetworkMode('host')
    .withUser(`${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`)
    .withBindMounts([...new Set([directory, storeDir])].map((path) => ({ source: path, target: path, mode: 'rw' as const })))
    .withCommand([...args])
    .start()
  const { container: { dockerode } } = await getContainerRuntimeClient()
  const handle = dockerode.getContainer(container.getId())
  const { State: { Pid: pid } } = await handle.inspect()
  const server = Object.assign(new EventEmitter(), {
    pid, exitCode: null as number | null, signalCode: null as NodeJS.Signals | null,
    kill: (signal: NodeJS.Signals | number = 'SIGTERM'): boolean => {
      // It may have ended meanwhile, which is seen below.
      handle.kill({ signal: String(signal) }).catch(() => undefined)
      return true
    },
    ref: () => {}, unref: () => {},
  })
  // As for a process: no server outlives the tests that started it.
  const removed = (): void => { spawnSync('docker', ['rm', '--force', handle.id], { stdio: 'ignore' }) }
  process.once('exit', removed)
  void ended(handle).then(({ exitCode, signalCode }) => {
    process.off('exit', removed)
    Object.assign(server, { exitCode, signalCode })
    server.emit('exit', exitCode, signalCode)
  })
  return server
}

/** Resolves when it has ended and is removed. By which signal, a container tells as a shell does. */
async function ended (handle: Container): Promise<Pick<ServerProcess, 'exitCode' | 'signalCode'>> {
  const code = await handle.wait().then(({ StatusCode: code }: { StatusCode: number }) => code, () => 128 + constants.signals.SIGKILL)
  await handle.remove({ force: true }).catch(() => undefined)
  const [signal] = Object.entries(constants.signals).find(([, number]) => code === 128 + number) ?? []
  return signal === undefined ? { exitCode: code, signalCode: null } : { exitCode: null, signalCode: signal as NodeJS.Signals }
}
