// What the panel lets our key do, tried without changing anything. A write is tried by a form with nothing in it: the panel looks at the key's rights
// before the form (measured on 1.11.8), so 422 means that it may and 403 that it may not. A 404 comes before both, so what is asked for has to exist.
import { defineCheck, no, Unseen, verdictOf, type Finding } from './check.ts'
import { ask, type Answer } from './http.ts'

export interface Tried {
  /** `users write` */
  readonly right: string
  readonly isNeeded: boolean
  /** `untold`: the panel has nothing to try it with. */
  readonly answer: 'granted' | 'refused' | 'untold'
}

const TODO = 'a new application key with the rights in config/.env.example (PANEL_KEY), of an administrator; scripts/secrets put panel-key'
const ACCOUNT_KEY = 'ptlc_'

export const panelKey = defineCheck('panel-key', ['SECRETS_DIRECTORY', 'PANEL_URL'], async (world, { PANEL_URL }) => {
  const key = world.secret('PANEL_KEY')
  const send = async (method: 'GET' | 'POST', path: string): Promise<Answer> => {
    const body = method === 'POST' ? { body: '{}' } : {}
    const answer = await ask(PANEL_URL, `/api/application${path}`, { signal: world.signal, method, headers: { authorization: `Bearer ${key}`, accept: 'application/json', 'content-type': 'application/json' }, ...body })
    if (answer.status === 429) throw new Unseen('the panel asks to wait (429)', 'again in a minute')
    if (answer.status >= 500 || (answer.status >= 300 && answer.status < 400)) throw new Unseen(`the panel answers ${answer.status}`, 'is PANEL_URL its final address')
    return answer
  }
  const [servers, nodes, nests] = [await send('GET', '/servers?per_page=1'), await send('GET', '/nodes?per_page=1'), await send('GET', '/nests?per_page=1')]
  if (servers.status === 401) return no('the panel does not know the key', TODO)
  const attempt = async (right: string, isNeeded: boolean, method: 'GET' | 'POST', path: string | undefined): Promise<Tried> =>
    ({ right, isNeeded, answer: path === undefined ? 'untold' : meaningOf(method, (await send(method, path)).status) })
  const [node, nest, server] = [firstIn(nodes), firstIn(nests), firstIn(servers)]
  const ports = node === undefined ? undefined : `/nodes/${node}/allocations`
  return judgeKey([
    { right: 'servers read', isNeeded: true, answer: meaningOf('GET', servers.status) },
    { right: 'nodes read', isNeeded: true, answer: meaningOf('GET', nodes.status) },
    { right: 'nests read', isNeeded: true, answer: meaningOf('GET', nests.status) },
    await attempt('servers write', true, 'POST', '/servers'),
    await attempt('users read', true, 'GET', '/users?per_page=1'),
    await attempt('users write', true, 'POST', '/users'),
    await attempt('allocations read', true, 'GET', ports === undefined ? undefined : `${ports}?per_page=1`),
    await attempt('eggs read', true, 'GET', nest === undefined ? undefined : `/nests/${nest}/eggs`),
    await attempt('allocations write', false, 'POST', ports),
    await attempt('nodes write', false, 'POST', '/nodes'),
    await attempt('locations read', false, 'GET', '/locations?per_page=1'),
    await attempt('locations write', false, 'POST', '/locations'),
    await attempt('server databases read', false, 'GET', server === undefined ? undefined : `/servers/${server}/databases`),
  ], key.startsWith(ACCOUNT_KEY))
})

export function meaningOf (method: 'GET' | 'POST', status: number): Tried['answer'] {
  if (status === 403) return 'refused'
  return status === (method === 'GET' ? 200 : 422) ? 'granted' : 'untold'
}

export function judgeKey (tried: readonly Tried[], isAccountKey: boolean): Finding {
  const needed = tried.filter(({ isNeeded }) => isNeeded)
  const beyond = tried.filter(({ isNeeded, answer }) => !isNeeded && answer === 'granted').map(({ right }) => right)
  const untold = needed.filter(({ answer }) => answer === 'untold').map(({ right }) => right)
  const wrong = [
    ...needed.filter(({ answer }) => answer === 'refused').map(({ right }) => `it may not: ${right}`),
    ...(untold.length > 0 ? [`whether it may ${untold.join(', ')} cannot be told: the panel has none`] : []),
  ]
  return verdictOf(wrong, 'it may do what Klaim needs', TODO, [
    ...(isAccountKey ? ['it is the key of an account, which is held to no list of rights: an application key does'] : []),
    ...(beyond.length > 0 ? [`it may also do what Klaim does not need: ${beyond.join(', ')}`] : []),
  ])
}

/** The id of the one row of a list; undefined where there is none, or it may not be read. */
function firstIn (answer: Answer): number | undefined {
  if (answer.status !== 200) return undefined
  const id = (answer.json() as { data?: Array<{ attributes?: { id?: unknown } }> }).data?.[0]?.attributes?.id
  return Number.isSafeInteger(id) ? id as number : undefined
}
