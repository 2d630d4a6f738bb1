// One question over HTTP: a limit on time and size, no redirect, and words for why there is no answer.
import { Unseen } from './check.ts'

export interface Answer { readonly status: number, readonly text: string, json (): unknown }

const BYTES_MAX = 8 * 1024 * 1024

/** Throws Unseen where no answer comes through. */
export async function ask (base: string, path: string, { signal, method = 'GET', headers = {}, body }: { signal: AbortSignal, method?: string, headers?: Record<string, string>, body?: string }): Promise<Answer> {
  const url = `${base.replace(/\/+$/, '')}${path}`
  const text: Buffer[] = []
  let bytes = 0
  let status: number
  try {
    const response = await fetch(url, { method, headers: { accept: 'application/json', ...headers }, redirect: 'manual', signal, ...(body === undefined ? {} : { body }) })
    status = response.status
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > BYTES_MAX) throw new Error('too long')
      text.push(Buffer.from(chunk))
    }
  } catch (error) {
    const { code } = ((error as Error).cause ?? error) as { code?: unknown }
    throw new Unseen(`${base} does not answer${typeof code === 'string' ? ` (${code})` : ''}`)
  }
  const whole = Buffer.concat(text).toString()
  return {
    status, text: whole,
    json: () => {
      try {
        return JSON.parse(whole)
      } catch {
        throw new Unseen(`${base} answers ${status} with something that is no JSON`)
      }
    },
  }
}

/** The body of an answer that has to be 200. */
export async function jsonOf (base: string, path: string, options: Parameters<typeof ask>[2]): Promise<unknown> {
  const answer = await ask(base, path, options)
  if (answer.status !== 200) throw new Unseen(`${base} answers ${path.replace(/\?.*/, '')} with ${answer.status}`)
  return answer.json()
}
