/** The real Baileys, connected to a double, for the tests beside this file. */
import {
  type AuthenticationCreds, type AuthenticationState, type BaileysEventMap, Browsers, BufferJSON, initAuthCreds, makeWASocket, type SignalDataSet,
  type SignalDataTypeMap, type UserFacingSocketConfig, type WASocket
} from '@whiskeysockets/baileys'
import type { Test } from 'tap'
import { silentLog } from '../silent-log.ts'
import { type Options, startWhatsApp, type WhatsApp } from '../whatsapp.ts'

// libsignal prints sessions, private keys included, and would drown the report.
for (const level of ['info', 'warn', 'error', 'log'] as const) console[level] = () => {}

export interface Client {
  sock: WASocket
  auth: AuthenticationState
  /** Every event so far, in order. */
  seen: Partial<BaileysEventMap>[]
  /** The first event, past or future, that fits. */
  next: <K extends keyof BaileysEventMap>(name: K, fits?: (value: BaileysEventMap[K]) => boolean) => Promise<BaileysEventMap[K]>
  /** Status code of the disconnect. */
  closed: () => Promise<number | undefined>
}

export async function double (t: Test, options?: Options): Promise<WhatsApp> {
  const whatsapp = await startWhatsApp(options)
  t.teardown(async () => {
    await whatsapp.close()
    if (whatsapp.faults.length > 0) throw new Error(`the double failed:\n${whatsapp.faults.join('\n')}`)
  })
  return whatsapp
}

export function authOf (creds: AuthenticationCreds | string = initAuthCreds()): AuthenticationState {
  const store: Record<string, Record<string, unknown>> = {}
  return {
    creds: typeof creds === 'string' ? JSON.parse(creds, BufferJSON.reviver) as AuthenticationCreds : creds,
    keys: {
      get<T extends keyof SignalDataTypeMap> (type: T, ids: string[]) {
        return Object.fromEntries(ids.flatMap((id) => store[type]?.[id] === undefined ? [] : [[id, store[type][id] as SignalDataTypeMap[T]]]))
      },
      set (data: SignalDataSet) {
        for (const [type, values] of Object.entries(data)) Object.assign(store[type] ??= {}, values)
      }
    }
  }
}

const waitMsMax = 10_000

export function connect (t: Test, { url }: Pick<WhatsApp, 'url'>, auth: AuthenticationState, config: Partial<UserFacingSocketConfig> = {}): Client {
  const sock = makeWASocket({
    auth, waWebSocketUrl: url, logger: silentLog, browser: Browsers.ubuntu('Chrome'), markOnlineOnConnect: false, ...config
  })
  t.teardown(() => sock.end(undefined))
  const seen: Client['seen'] = []
  const watchers = new Set<() => void>()
  const names: (keyof BaileysEventMap)[] = [
    'connection.update', 'creds.update', 'messages.upsert', 'messages.update', 'group-participants.update', 'groups.update', 'groups.upsert'
  ]
  for (const name of names) {
    sock.ev.on(name, (value) => {
      seen.push({ [name]: value })
      for (const look of watchers) look()
    })
  }
  const next: Client['next'] = (name, fits = () => true) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      watchers.delete(look)
      reject(new Error(`no ${name} within ${waitMsMax} ms`))
    }, waitMsMax)
    function look () {
      const found = seen.map(({ [name]: value }) => value).find((value) => value !== undefined && fits(value))
      if (found === undefined) return
      clearTimeout(timer)
      watchers.delete(look)
      resolve(found)
    }
    watchers.add(look)
    look()
  })
  return {
    sock, auth, seen, next,
    async closed () {
      const { lastDisconnect } = await next('connection.update', ({ connection }) => connection === 'close')
      const error = lastDisconnect?.error
      return error && 'output' in error ? error.output.statusCode : undefined
    }
  }
}

export async function open (t: Test, whatsapp: WhatsApp, auth = authOf(whatsapp.createLinkedSession()), config?: Partial<UserFacingSocketConfig>): Promise<Client> {
  const client = connect(t, whatsapp, auth, config)
  await client.next('connection.update', ({ connection }) => connection === 'open')
  return client
}
