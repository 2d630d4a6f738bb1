import t from 'tap'
import { accountsOf, failure, panelCall, ready, shippedTemplates, world, type World } from './harness.ts'

const quick = () => {
  const templates = shippedTemplates()
  for (const template of Object.values(templates)) Object.assign(template, { installDeadlineS: 1, healthcheck: { portEnv: 'SERVER_PORT', deadlineS: 1 } })
  return templates
}
const nothingLeft = (w: World) => [w.panel.state().servers, accountsOf(w.panel), w.panel.state().orphans]

t.test('an install', async (t) => {
  const w = await world(t, { templates: quick() })
  await w.provisioner()
  w.panel.setWings({ install: 'never' })
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'INSTALL_TIMEOUT@install', 'that never ends is given up')
  t.same(nothingLeft(w), [[], [], []], 'and what was made is removed before that is said')

  w.panel.setWings({ install: 'failure' })
  const creates = w.panel.state().serverCreates
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'INSTALL_FAILED@install', 'that fails twice is given up')
  t.equal(w.panel.state().serverCreates - creates, 2)
  t.same(nothingLeft(w), [[], [], []])

  w.panel.setWings({ install: 'failure', installDelayMs: 300 })
  const { claim_id } = await w.request()
  await w.ended(claim_id, ['progressed'])
  while (w.panel.state().servers.length === 0) await new Promise(setImmediate)
  w.panel.setWings({ install: 'success' })
  ready(await w.ended(claim_id))
  t.same(w.said(claim_id).filter(({ name }) => name === 'progressed').map(({ data }) => `${(data as { step: string }).step} ${(data as { attempt: number }).attempt}`),
    ['queued 1', 'account 1', 'port 1', 'create 1', 'install 1', 'port 2', 'create 2', 'install 2', 'probe 2'], 'that fails once is tried again')
  t.equal(w.panel.state().servers.length, 1)
})

t.test('a server that does not answer', async (t) => {
  const w = await world(t, { templates: quick() })
  await w.provisioner()
  w.panel.setWings({ startsUp: false })
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'HEALTHCHECK_TIMEOUT@probe')
  t.same(nothingLeft(w), [[], [], []])
})

t.test('a server that vanishes', async (t) => {
  const w = await world(t)
  await w.provisioner()
  w.panel.setWings({ install: 'never' })
  const vanish = async (before: number): Promise<number> => {
    let server
    while (!(server = w.panel.state().servers.find(({ id }) => id > before))) await new Promise(setImmediate)
    w.panel.removeServer(server.id)
    return server.id
  }
  const once = await w.request()
  const first = await vanish(0)
  w.panel.setWings({ install: 'success' })
  t.ok(ready(await w.ended(once.claim_id)).server_id > first, 'is made again')
  w.panel.setWings({ install: 'never' })
  const twice = await w.request()
  await vanish(await vanish(ready(await w.ended(once.claim_id)).server_id))
  t.equal(failure(await w.ended(twice.claim_id)), 'SERVER_VANISHED@install', 'once')
})

t.test('a template that the panel refuses', async (t) => {
  const templates = shippedTemplates()
  const nodejs = templates['nodejs']
  if (nodejs) nodejs.environment = { ...nodejs.environment, MAIN_FILE: '' }
  const w = await world(t, { templates })
  await w.provisioner()
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'EGG_INVALID@create')
  t.same(nothingLeft(w), [[], [], []])
})

t.test('a port that somebody else took meanwhile', async (t) => {
  const templates = shippedTemplates()
  const w = await world(t, { panel: { nodes: [{ name: 'one', ip: '127.70.2.1', ports: [20100, 20102] }, { name: 'two', ip: '127.70.2.1', ports: [20103, 20103] }] }, templates })
  await w.provisioner()
  const first = ready(await w.ended((await w.request()).claim_id))
  const python = templates['python']
  const free = [1, 2, 3, 4].filter((id) => id !== first.allocation_id)
  for (const [index, id] of free.entries()) {
    if (index === 0) continue
    const { status } = await panelCall(w.panel, 'POST', '/servers', {
      name: 'other', user: 1, egg: 16, docker_image: 'x', startup: 'x', environment: python?.environment, limits: python?.limits, feature_limits: python?.feature_limits, allocation: { default: id },
    })
    t.equal(status, 201)
  }
  t.equal(ready(await w.ended((await w.request()).claim_id)).allocation_id, free[0], 'is passed over for one that is free')
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'NO_FREE_PORT@create', 'until none is')
  t.same(Object.keys(w.panel.state().requests['POST /servers']?.statuses ?? {}).filter((status) => status !== '201' && status !== '422'), [])
})

