// The bot as a process of its own.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'

const root = new URL('../../..', import.meta.url).pathname

export interface Spawned { readonly child: ChildProcess, output: () => string, saw: (text: string) => Promise<void>, exit: Promise<number | null> }

/** The bot as it runs in staging; everything it writes is kept. */
export function spawnBot (t: Test, env: Record<string, string>, bootstrap = true): Spawned {
  const child = spawn(process.execPath, [...(bootstrap ? ['--import', './deploy/staging/whatsapp/trust-root.ts'] : []), 'services/bot/main.ts'], { cwd: root, env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe'] })
  let written = ''
  const exit = once(child, 'exit').then(([code]) => code as number | null)
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => { written += chunk.toString() })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  return {
    child, exit, output: () => written,
    saw: async (text) => {
      while (!written.includes(text)) {
        const [event] = await Promise.race([once(child.stdout as NonNullable<typeof child.stdout>, 'data'), once(child.stderr as NonNullable<typeof child.stderr>, 'data'), exit.then((): [string] => ['exit'])])
        if (event === 'exit' && !written.includes(text)) throw new Error(`ended without saying ${text}`)
      }
    },
  }
}
