/** The HTTP control API and the page that uses it. README.md lists the calls; `routes` is the list itself. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { closeCodes } from './closing.ts'
import type { Handle } from './handle.ts'
import type { Person } from './world.ts'

export interface Control { url: string, close: () => Promise<void> }

const bodyBytesMax = 64 * 1024
const page = readFileSync(new URL('page.html', import.meta.url))

/** An answer of the control API that is not 200. */
class Refused extends Error {
  readonly status: number
  constructor (status: number, message: string) {
    super(message)
    this.status = status
  }
}

type Body = Record<string, unknown>
/** `id` is what stands in the path: a phone number, mostly. */
type Route = (handle: Handle, id: string, body: Body) => unknown

const routes: Record<string, Route> = {
  'GET /state': (double) => ({
    standsInFor: 'WhatsApp', group: double.group, botNumber: double.botNumber, groups: double.groups(), connected: double.connected(),
    linked: double.linked(), knobs: double.knobs, counters: double.counters, faults: double.faults, people: double.people().map((person) => summary(double, person))
  }),
  'GET /people': (double) => double.people().map((person) => summary(double, person)),
  'POST /people': (double, _, body) => summary(double, double.addPerson({
    ...has(body.number) && { number: digits(body) }, ...has(body.name) && { name: string(body, 'name') },
    isHidden: body.isHidden === true, isOnWhatsApp: body.isOnWhatsApp !== false, inGroup: body.inGroup === true,
    dialled: strings(body.dialled), devices: body.devices === undefined ? [0] : deviceIds(body.devices)
  })),
  'GET /people/:id': (double, number) => ({ ...summary(double, double.person(number)), chat: double.chat(number) }),
  'POST /people/:id/join': (double, number, body) => changed(double.join(number, body.how === 'admin' ? 'admin' : 'invite', groupIn(double, body))),
  'POST /people/:id/leave': (double, number, body) => changed(double.leave(number, groupIn(double, body))),
  'POST /people/:id/remove': (double, number, body) => changed(double.remove(number, groupIn(double, body))),
  'POST /people/:id/promote': (double, number, body) => changed(double.promote(number, groupIn(double, body))),
  'POST /people/:id/demote': (double, number, body) => changed(double.demote(number, groupIn(double, body))),
  'POST /people/:id/message': async (double, number, body) => ({ id: await double.say(number, string(body, 'text')) }),
  'POST /people/:id/number': (double, number, body) => {
    double.changeNumber(number, digits(body))
    return summary(double, double.person(digits(body)))
  },
  'POST /people/:id/reinstall': (double, number) => {
    double.reinstall(number)
    return changed(true)
  },
  'GET /chats': (double) => double.people().filter((person) => double.chat(person).length > 0)
    .map((person) => ({ number: person.number, name: person.name, messages: double.chat(person) })),
  'GET /chats/:id': (double, number) => ({ number, messages: double.chat(number), deliveries: double.deliveries(number) }),
  'GET /deliveries': (double) => double.deliveries(),
  'POST /groups': (double, _, body) =>
    double.addGroup(string(body, 'id'), string(body, 'subject'), body.addressing === 'pn' ? 'pn' : 'lid'),
  'PATCH /groups/:id': (double, id, body) => {
    double.setAddressing(body.addressing === 'pn' ? 'pn' : 'lid', id)
    return double.groups().find((group) => group.id === id)
  },
  'POST /false-leaves': (double, _, body) => {
    const numbers = Array.isArray(body.numbers) ? strings(body.numbers) : members(double).slice(0, Number(body.count ?? 10))
    double.pretendDepartures(numbers, body.addressing === 'pn' ? 'pn' : undefined, groupIn(double, body))
    return { pretended: numbers.length }
  },
  'POST /dirty': (double) => {
    double.sayGroupsDirty()
    return changed(true)
  },
  'POST /reachout-lock': (double, _, body) => {
    double.turnKnobs({ restrictedUntil: body.until ?? null })
    double.pushReachoutLock()
    return double.knobs
  },
  'GET /knobs': (double) => double.knobs,
  'PATCH /knobs': (double, _, body) => {
    double.turnKnobs(body)
    return double.knobs
  },
  'DELETE /knobs': (double) => {
    double.resetKnobs()
    return double.knobs
  },
  'GET /connection': (double) => ({ connected: double.connected(), linked: double.linked() }),
  'POST /close': (double, _, body) => {
    const code = closeCodes.find((known) => known === body.code)
    if (!code) throw new Refused(400, `code must be one of ${closeCodes.join(', ')}`)
    double.closeConnections(code)
    return changed(true)
  },
  'POST /unlink': (double, _, body) => {
    const device = double.linked().find((linked) => linked.device === body.device)?.device
    if (device === undefined) throw new Refused(404, 'no such linked device')
    double.unlink(device)
    return changed(true)
  },
  'POST /ban': (double) => {
    double.ban()
    return changed(true)
  },
  'POST /account': (double, _, body) => {
    double.takeAccount(digits(body))
    return { botNumber: double.botNumber }
  },
  'GET /counters': (double) => double.counters,
  'POST /sessions': (double, _, body) => ({ creds: double.createLinkedSession({ preKeys: body.preKeys === 'none' ? 'none' : 'claimed' }) }),
  'POST /pair': async (double, _, body) => has(body.code) ? double.typeCode(string(body, 'code')) : double.scan(string(body, 'qr'))
}

/** Serves on `host`, for whoever may reach it: there is no password, so keep it on a loopback or staging network. */
export async function startControl (handle: Handle, host: string, port: number): Promise<Control> {
  const server = createServer((request, response) => {
    respond(handle, request, response).catch((error: unknown) => {
      if (!response.headersSent) send(response, error instanceof Refused ? error.status : 400, { error: error instanceof Error ? error.message : 'failed' })
    })
  })
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on a port')
  return {
    url: `http://${host}:${address.port}`,
    close () {
      server.closeAllConnections()
      return new Promise((resolve) => { server.close(() => { resolve() }) })
    }
  }
}

async function respond (handle: Handle, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '/'] = (request.url ?? '/').split('?')
  if (path === '/' && request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': "default-src 'self' 'unsafe-inline'; img-src data:" })
    response.end(page)
    return
  }
  // Any page that a browser has open could post here; only our own may.
  const { origin, host } = request.headers
  if (origin !== undefined && origin !== `http://${host}`) throw new Refused(403, 'not from this page')
  const [first = '', id, verb] = path.slice(1).split('/').map(decodeURIComponent)
  const pattern = [first, ...id === undefined ? [] : [':id'], ...verb === undefined ? [] : [verb]].join('/')
  const name = `${request.method} /${pattern}`
  const route = Object.hasOwn(routes, name) ? routes[name] : undefined
  if (!route) throw new Refused(404, 'no such call')
  const body = request.method === 'GET' ? {} : await bodyOf(request)
  if (name.includes('/people/') && !handle.people().some(({ number }) => number === id)) throw new Refused(404, 'nobody has this number')
  const answer = await route(handle, id ?? '', body)
  // What was answered is remembered, even if the process is killed now.
  if (request.method !== 'GET') await handle.saved()
  send(response, 200, answer)
}

async function bodyOf (request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    const part = Buffer.from(chunk)
    length += part.length
    if (length > bodyBytesMax) throw new Refused(413, 'body too large')
    chunks.push(part)
  }
  if (length === 0) return {}
  if (!request.headers['content-type']?.startsWith('application/json')) throw new Refused(415, 'send JSON')
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new Refused(400, 'send a JSON object')
  return { ...body }
}

function send (response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body))
}

function summary (double: Handle, person: Person) {
  const { number, lid, name, isHidden, isOnWhatsApp, devices } = person
  const role = double.groups().find(({ id }) => id === double.group)?.members[lid]
  const chat = double.chat(person)
  return {
    number, lid, name, isHidden, isOnWhatsApp, devices, inGroup: role !== undefined, role: role ?? null, messages: chat.length,
    lastMessage: chat.at(-1) ?? null
  }
}

const changed = (isChanged: boolean) => ({ changed: isChanged })
const has = (value: unknown): boolean => value !== undefined && value !== null && value !== ''
const strings = (value: unknown): string[] => Array.isArray(value) ? value.map(String) : []
const members = (double: Handle) => double.people().filter(({ number }) => double.isMember(number) && number !== double.botNumber).map(({ number }) => number)
const groupIn = (double: Handle, body: Body): string => typeof body.group === 'string' ? body.group : double.group

function string (body: Body, field: string): string {
  const value = body[field]
  if (typeof value !== 'string' || value === '' || value.length > 4_096) throw new Refused(400, `${field} must be a text of 1 to 4096 characters`)
  return value
}

function digits (body: Body): string {
  const number = string(body, 'number').replace(/^\+/, '')
  if (!/^[1-9]\d{6,14}$/.test(number)) throw new Refused(400, 'number must have 7 to 15 digits, with country code')
  return number
}

function deviceIds (value: unknown): number[] {
  const ids = Array.isArray(value) ? value.map(Number) : []
  if (!ids.includes(0) || ids.some((id) => !Number.isInteger(id) || id < 0 || id > 98) || ids.length > 10) throw new Refused(400, 'devices must be ids from 0 to 98, with 0')
  return [...new Set(ids)]
}
