/** The panel's side of Wings: call-backs with a node's token. Neither rate-limited nor of use to anybody else. */
import { badRequest, forbidden, invalid, noRoute, PanelError } from './errors.ts'
import { isTrue, lookUp } from './validation.ts'
import type { PanelContext } from './context.ts'
import type { Fields } from './json.ts'
import type { Answer } from './routing.ts'

const recordNotFound = () => new PanelError(404, [{ code: 'RecordNotFoundException', status: '404', detail: '' }])

export function remote ({ state, wings }: PanelContext, method: string, path: string, authorization: string | undefined, body: Fields): Answer {
  const nodeId = nodeOf(state, authorization)
  if (method === 'POST' && path === '/api/remote/servers/reset') {
    wings.restarted(nodeId)
    return { status: 204 }
  }
  const [, uuid, suffix] = /^\/api\/remote\/servers\/([^/]+)(\/install)?$/.exec(path) ?? []
  const server = state.serverBy(one => one.uuid === uuid)
  if (uuid === undefined) throw noRoute(path.slice(1))
  if (method === 'POST' && suffix !== undefined) {
    if (!lookUp(body, 'successful').isPresent) {
      throw invalid([{ field: 'successful', rule: 'present', message: 'The successful field must be present.' }])
    }
    if (server === undefined) throw recordNotFound()
    wings.installFinished(uuid, isTrue(body.successful), isTrue(body.reinstall))
    return { status: 204 }
  }
  if (server === undefined) throw recordNotFound()
  const allocation = state.allocations.get(server.allocationId)!
  return {
    status: 200,
    body: {
      settings: { uuid, suspended: server.status === 'suspended', invocation: server.startup, environment: server.variables, allocations: { default: { ip: allocation.ip, port: allocation.port } } },
      process_configuration: { startup: { done: [], user_interaction: [], strip_ansi: false }, stop: { type: 'command', value: 'stop' }, configs: [] }
    }
  }
}

function nodeOf (state: PanelContext['state'], authorization: string | undefined): number {
  const token = /^Bearer (.*)$/i.exec(authorization ?? '')?.[1]
  if (token === undefined || token === '') {
    throw new PanelError(401, [{ code: 'HttpException', status: '401', detail: 'Access to this endpoint must include an Authorization header.' }])
  }
  const parts = token.split('.')
  if (parts.length !== 2 || parts.includes('')) throw badRequest('The Authorization header provided was not in a valid format.')
  const node = state.nodes.values().find(one => one.tokenId === parts[0] && one.token === parts[1])
  if (node === undefined) throw forbidden('You are not authorized to access this resource.')
  return node.id
}
