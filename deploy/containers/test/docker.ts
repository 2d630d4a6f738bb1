// The containers of one compose project, for scripts/compose-journey.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../../..')
const OUTPUT_BYTES_MAX = 32 * 1024 * 1024
const execute = promisify(execFile)

export interface Container {
  readonly service: string
  readonly id: string
  readonly state: string
  readonly health: string
  readonly exitCode: number
  readonly restarts: number
  readonly inspected: Inspected
}
interface Inspected {
  readonly Id: string
  readonly RestartCount: number
  readonly State: { readonly Status: string, readonly ExitCode: number, readonly Health?: { readonly Status: string } }
  readonly Config: { readonly User: string, readonly Env: readonly string[], readonly Labels: Readonly<Record<string, string>> }
  readonly HostConfig: { readonly ReadonlyRootfs: boolean, readonly CapDrop: readonly string[], readonly Memory: number, readonly PidsLimit: number, readonly Init: boolean, readonly SecurityOpt: readonly string[] }
}

export interface Project {
  /** What docker compose says to these words; rejects where it ends badly. */
  compose (...words: readonly string[]): Promise<string>
  /** The same, shown as it comes. */
  shown (...words: readonly string[]): Promise<void>
  /** All of them, also those that have ended. */
  containers (): Promise<Container[]>
  /** Ends everything in a container but its init, as a crash would: what brings it back is its restart policy. (Docker takes `docker kill` for a wish.) */
  crash (service: string): Promise<void>
}

export function composeProject (args: readonly string[]): Project {
  const words = ['compose', ...args]
  const docker = async (...more: readonly string[]): Promise<string> => (await execute('docker', more, { cwd: ROOT, maxBuffer: OUTPUT_BYTES_MAX })).stdout
  const compose = async (...more: readonly string[]): Promise<string> => await docker(...words, ...more)
  return {
    compose,
    shown: async (...more) => {
      const child = spawn('docker', [...words, ...more], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
      const [code] = await once(child, 'exit') as [number | null]
      if (code !== 0) throw new Error(`docker compose ${more[0]} ended with ${code}`)
    },
    containers: async () => {
      const ids = (await compose('ps', '--all', '--quiet')).trim().split('\n').filter((id) => id !== '')
      if (ids.length === 0) return []
      return (JSON.parse(await docker('inspect', ...ids)) as Inspected[]).map((inspected) => ({
        service: inspected.Config.Labels['com.docker.compose.service'] ?? '', id: inspected.Id, state: inspected.State.Status, health: inspected.State.Health?.Status ?? '',
        exitCode: inspected.State.ExitCode, restarts: inspected.RestartCount, inspected,
      }))
    },
    crash: async (service) => {
      // The shell that sends the signal is spared, and then ends with a code that says nothing.
      await compose('exec', '-T', service, 'sh', '-c', 'kill -9 -1').catch(() => {})
    },
  }
}
