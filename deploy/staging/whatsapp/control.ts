import type { Handle } from './handle.ts'
export interface Control { url: string, close: () => Promise<void> }
export async function startControl (_handle: Handle, _host: string, _port: number): Promise<Control> {
  return { url: '', close: () => Promise.resolve() }
}
