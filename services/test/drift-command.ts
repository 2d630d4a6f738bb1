// scripts/drift, as an operator runs it beside a whole system.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { System } from '../../deploy/staging/system.ts'

export interface Said { readonly code: number | null, readonly said: string }

export function driftOf (system: System) {
  const secret = (name: string): string => join(system.secretsDirectory, name)
  const env = {
    PATH: process.env['PATH'], USER: 'on-call', NATS_URL: system.nats.url, NATS_NKEY_SEED_FILE: secret('nats_operator.nk'), PANEL_URL: system.panelUrl, PANEL_KEY_FILE: secret('panel_key'),
    CLAIM_EMAIL_DOMAIN: 'members.klaim.invalid', BOT_URL: system.botUrl, INTERNAL_SECRET_FILE: secret('internal_secret'),
  }
  /** `until`: it is killed there and then, when that resolves or this line is printed. */
  async function run (args: readonly string[], until?: { line?: number, event?: Promise<unknown> }): Promise<Said> {
    const child = spawn(process.execPath, [join(import.meta.dirname, '../../scripts/drift.ts'), ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    void until?.event?.then(() => child.kill('SIGKILL'))
    let said = ''
    let lines = 0
    for await (const line of createInterface({ input: child.stdout })) {
      said += `${line}\n`
      if (++lines === until?.line) child.kill('SIGKILL')
    }
    const [code] = await ended as [number | null]
    return { code, said }
  }
  /** What an administrator does with the same key. */
  async function panel (method: string, path: string, body?: object): Promise<{ status: number, attributes: { id: number } }> {
    const answer = await fetch(`${system.panelUrl}/api/application${path}`, {
      method, headers: { authorization: `Bearer ${readFileSync(secret('panel_key'), 'utf8').trim()}`, accept: 'application/json', 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, attributes: text === '' ? { id: 0 } : (JSON.parse(text) as { attributes: { id: number } }).attributes }
  }
  return { run, panel }
}
