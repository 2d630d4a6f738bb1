// scripts/klaim as an operator runs it beside a whole system: a process of its own, with the operator's key and nothing else.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import type { System } from '../../deploy/staging/system.ts'

const ROOT = resolve(import.meta.dirname, '../..')

export interface Ended { readonly code: number | null, readonly said: string, readonly complained: string }

export function klaimOf (system: System, added: Readonly<Record<string, string>> = {}) {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], USER: 'budi', NATS_URL: system.nats.url, NATS_NKEY_SEED_FILE: join(system.secretsDirectory, 'nats_operator.nk'), ...added }
  /** Everything that was ever said, to be searched at the end. */
  const heard: string[] = []
  async function klaim (args: readonly string[], { input = '', env: changed = {} }: { input?: string, env?: Record<string, string> } = {}): Promise<Ended> {
    const child = spawn(join(ROOT, 'scripts/klaim'), args, { env: { ...env, ...changed }, stdio: ['pipe', 'pipe', 'pipe'] })
    child.stdin.end(input)
    const [[code], said, complained] = await Promise.all([once(child, 'close') as Promise<[number | null]>, text(child.stdout), text(child.stderr)])
    heard.push(said, complained)
    return { code, said, complained }
  }
  /** The objects that `--json` prints. */
  async function objects (args: readonly string[], options: { input?: string } = {}): Promise<{ code: number | null, objects: Array<Record<string, unknown>> }> {
    const { code, said } = await klaim([...args, '--json'], options)
    return { code, objects: said.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>) }
  }
  return { klaim, objects, heard, env }
}
