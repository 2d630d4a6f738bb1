import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { notFound, panelUnderTest, told, unreachable } from './panel-under-test.ts'
import type { Test } from 'tap'
import type { Attributes, PanelAnswer } from './panel-under-test.ts'
import type { WingsMode } from '../knobs.ts'

const panel = await panelUnderTest(t)
const { call, double, nodeId } = panel
const user = (await panel.makeUser()).id
const external = (id: string) => call('GET', `/servers/external/${id}`)
const state = async (id: number) => {
  const { status, attributes } = await call('GET', `/servers/${id}`)
  return status === 200 ? [attributes.status, attributes.suspended, attributes.container.installed] : status
}
const codes = (answers: PanelAnswer[]) => answers.map(({ status, errors }) => `${status}${errors.length === 0 ? '' : ` ${errors[0]!.code}`}`)
const isFree = async (allocationId: number) => (await panel.freeAllocations()).some(({ id }) => id === allocationId)

/** Runs with Wings in a mode, and puts it right again. */
async function withWings<T> (mode: { mode?: WingsMode, create?: WingsMode, delete?: WingsMode }, act: () => Promise<T>): Promise<T> {
  double!.setWings(mode, nodeId)
  try {
    return await act()
  } finally {
    double!.setWings({ mode: { kind: 'ok' }, create: null, delete: null }, nodeId)
  }
}

t.test('T22 the life of a server', async t => {
  const { id, uuid } = await panel.makeServer({ user })
  if (!await panel.installFinished(uuid, true)) return t.comment('PANEL_NODE_TOKEN is not set: call-backs are not played')
  const post = async (action: string) => t.equal((await call('POST', `/servers/${id}/${action}`)).status, 204, action)
  t.same(await state(id), [null, false, 1], 'installed')
  await panel.installFinished(uuid, false)
  t.same(await state(id), ['install_failed', false, 0])
  await panel.installFinished(uuid, false, true)
  t.same(await state(id), ['reinstall_failed', false, 1])
  await post('reinstall')
  t.same(await state(id), ['installing', false, 0])
  await post('suspend')
  t.same(await state(id), ['suspended', true, 1], 'a suspended server counts as installed')
  await panel.installFinished(uuid, true)
  t.same(await state(id), ['suspended', true, 1], 'the end of an install changes nothing then')
  await post('unsuspend')
  t.same(await state(id), [null, false, 1])
  await post('reinstall')
  await post('unsuspend')
  t.same(await state(id), ['installing', false, 0], 'unsuspending one that is not suspended does nothing')
  if (double === undefined) return t.comment('Wings is not restarted')
  await post('suspend')
  await post('reinstall')
  t.same(await state(id), ['installing', false, 0])
  double.wingsRestart(nodeId)
  t.same(await state(id), [null, false, 1], 'after a restart of Wings it looks installed')

  const remote = (path: string, authorization: string | undefined, body: unknown = {}) => fetch(`${panel.url}/api/remote/servers/${path}`, {
    method: 'POST', headers: { accept: 'application/json', 'content-type': 'application/json', ...authorization === undefined ? {} : { authorization } }, body: JSON.stringify(body)
  })
  const bearer = `Bearer ${double.nodeToken(nodeId)}`
  t.same([(await remote('reset', undefined)).status, (await remote('reset', 'Bearer x')).status, (await remote('reset', 'Bearer x.y')).status], [401, 400, 403])
  t.same([(await remote(`${uuid}/install`, bearer)).status, (await remote('nonsense/install', bearer, { successful: true })).status], [422, 404])
})

t.test('T23 suspending is idempotent, and refused during a transfer', async t => {
  const { id } = await panel.makeServer({ user })
  for (const action of ['suspend', 'suspend', 'unsuspend', 'unsuspend']) t.equal((await call('POST', `/servers/${id}/${action}`)).status, 204, action)
  t.same(told(await call('POST', '/servers/99999999/suspend')), notFound)
  if (double === undefined) return t.comment('no transfer is begun')
  double.setTransfer(id, true)
  const answer = await call('POST', `/servers/${id}/suspend`)
  t.same([answer.status, answer.errors[0]?.code], [409, 'ConflictHttpException'])
  double.setTransfer(id, false)
  const refused = await withWings({ mode: { kind: 'refuse' } }, () => call('POST', `/servers/${id}/suspend`))
  t.same(told(refused), unreachable)
  t.same((await state(id) as unknown[])[0], null, 'and the status is as it was')
})

t.test('T24 a create that Wings does not carry out leaves nothing', async t => {
  if (double === undefined) return t.comment('Wings is not broken')
  const body = await panel.serverBody({ user })
  const cases: Array<[WingsMode, number, RegExp]> = [
    [{ kind: 'refuse' }, 504, /^Could not establish a connection to the machine running this server\. Please try again\.$/],
    [{ kind: 'hang', ms: 60_000 }, 504, /^Could not establish a connection to the machine running this server\. Please try again\.$/],
    [{ kind: 'status', status: 500 }, 500, /^There was an error while communicating with the machine running this server\. This error has been logged, please try again\. \(code: 500\) \(request_id: [-\da-f]{36}\)$/],
    [{ kind: 'status', status: 204 }, 502, /\(code: 502\)/],
    ...[403, 409, 422].map((status): [WingsMode, number, RegExp] => [{ kind: 'status', status }, status,
      /^An error occurred on the remote host: An unexpected error was encountered while processing this request\.\. \(request id: [-\da-f]{36}\)$/])
  ]
  for (const [create, status, detail] of cases) {
    const began = Date.now()
    const answer = await withWings({ create }, () => call('POST', '/servers', body))
    t.same([answer.status, answer.errors[0]?.code, answer.errors[0]?.status], [status, 'DaemonConnectionException', String(status)], JSON.stringify(create))
    t.match(answer.errors[0]?.detail, detail)
    if (create.kind === 'hang') t.ok(Date.now() - began >= 290, 'after the panel\'s own timeout')
    t.same(told(await external(body.external_id)), notFound)
    t.ok(await isFree(body.allocation.default), 'the allocation is free again')
  }
  const began = Date.now()
  await withWings({ mode: { kind: 'hang', ms: 60_000 } }, () => call('POST', '/servers', body))
  t.ok(Date.now() - began >= 590, 'twice the timeout if the clean-up hangs too')
  t.equal((await call('POST', '/servers', body)).status, 201, 'the external id and the allocation can be used again')
})

t.test('T25 the row of a create can be seen, and can vanish', async t => {
  if (double === undefined) return t.comment('Wings is not slowed down')
  const body = await panel.serverBody({ user })
  await withWings({ create: { kind: 'hang', ms: 60_000 } }, async () => {
    const creating = call('POST', '/servers', body)
    let seen = await external(body.external_id)
    for (let tries = 0; tries < 20 && seen.status === 404; tries++) seen = await external(body.external_id)
    t.match([seen.status, seen.attributes], [200, { status: 'installing' }])
    t.equal((await creating).status, 504)
    t.same(told(await external(body.external_id)), notFound)
  })
})

t.test('T26 deleting, with Wings well, ill and gone', async t => {
  const { id } = await panel.makeServer({ user })
  const remove = (suffix = '') => call('DELETE', `/servers/${id}${suffix}`)
  if (double !== undefined) {
    const cases: Array<[WingsMode, number]> = [[{ kind: 'status', status: 500 }, 500], [{ kind: 'status', status: 403 }, 403], [{ kind: 'refuse' }, 504], [{ kind: 'hang', ms: 60_000 }, 504]]
    for (const [mode, status] of cases) {
      const answer = await withWings({ mode }, () => remove())
      t.same([answer.status, answer.errors[0]?.code], [status, 'DaemonConnectionException'])
      t.same(await state(id), ['installing', false, 0], 'nothing is deleted')
    }
    t.equal((await withWings({ mode: { kind: 'refuse' } }, () => remove('/bogus'))).status, 504, 'only /force forces')
    t.equal((await withWings({ mode: { kind: 'refuse' } }, () => remove('/force'))).status, 204)
    const unknown = await panel.makeServer({ user })
    double.removeContainer(unknown.uuid)
    const suspend = await call('POST', `/servers/${unknown.id}/suspend`)
    t.same([suspend.status, suspend.errors[0]?.code], [404, 'DaemonConnectionException'], 'a 404 of Wings is passed through')
    t.match(suspend.errors[0]?.detail, /^An error occurred on the remote host: The requested resource does not exist on this instance\.\. \(request id: /)
    t.equal((await call('DELETE', `/servers/${unknown.id}`)).status, 204, 'what Wings does not know is gone')
  } else {
    t.comment('Wings is not broken')
    const removed = await remove()
    t.same([removed.status, removed.text], [204, ''])
  }
  t.same(told(await remove()), notFound)
})

t.test('T27 of parallel deletes the first succeeds and later ones find nothing', async t => {
  const { id, allocation } = await panel.makeServer({ user })
  const answers = await Promise.all(Array.from({ length: 4 }, () => call('DELETE', `/servers/${id}`)))
  // Two that were let in at the same moment both succeed: for the second, Wings knows no such server, which counts as done.
  t.same([...new Set(codes(answers))].toSorted().slice(0, 1), ['204'])
  t.same(codes(answers).filter(code => code !== '204' && code !== '404 NotFoundHttpException'), [])
  t.ok(await isFree(allocation))
  t.same(told(await call('DELETE', `/servers/${id}`)), notFound)
})

const windows = [{ raceWindowMs: 0, insertWindowMs: 0 }, { raceWindowMs: 80, insertWindowMs: 0 }, { raceWindowMs: 0, insertWindowMs: 80 }]

async function race (t: Test, bodies: () => Promise<Attributes[]>, field: string) {
  const losers = new Set<string>()
  for (const window of windows) {
    double?.setKnobs(window)
    const sent = await bodies()
    const late = sent.pop()!
    const answers = await Promise.all(sent.map(body => call('POST', '/servers', body)))
    t.equal(codes(answers).filter(code => code === '201').length, 1, 'exactly one wins')
    // One more who comes when all is over is told by the validation.
    answers.push(await call('POST', '/servers', late))
    for (const { status, errors } of answers) if (status !== 201) losers.add([status, errors[0]?.code, errors[0]?.meta?.source_field, errors[0]?.meta?.rule].filter(Boolean).join(' '))
  }
  double?.setKnobs(windows[0]!)
  const known = [`422 ValidationException ${field}`, '500 DataValidationException', '500 UniqueConstraintViolationException']
  t.same([...losers].filter(loser => !known.includes(loser)), [], 'losers lose in known ways')
  if (double !== undefined) t.same([...losers].toSorted(), known, 'each of which was seen')
}

t.test('T28 a race for one allocation', async t => {
  await race(t, async () => {
    const body = await panel.serverBody({ user })
    return Array.from({ length: 7 }, () => ({ ...body, external_id: panel.name() }))
  }, 'allocation.default exists')
})

t.test('T29 a race for one external id', async t => {
  await race(t, async () => {
    const bodies: Attributes[] = []
    const id = panel.name()
    for (let made = 0; made < 7; made++) bodies.push(await panel.serverBody({ user, external_id: id }))
    return bodies
  }, 'external_id unique')
})

t.test('T32 a client that goes away does not stop its create', async t => {
  double?.setKnobs({ raceWindowMs: 50 })
  t.teardown(() => { double?.setKnobs({ raceWindowMs: 0 }) })
  const body = await panel.serverBody({ user })
  const abort = new AbortController()
  const creating = call('POST', '/servers', body, { signal: abort.signal })
  setTimeout(() => { abort.abort() }, 20)
  await t.rejects(creating, { name: 'AbortError' })
  let found = await external(body.external_id)
  for (let tries = 0; tries < 100 && found.status === 404; tries++) {
    await sleep(20)
    found = await external(body.external_id)
  }
  t.match([found.status, found.attributes], [200, { external_id: body.external_id }])
})

t.test('T41 creates that leave no worker for the call-backs starve; fewer than workers all succeed', async t => {
  const workers = 4
  double?.setKnobs({ workers, latencyMs: 25 })
  t.teardown(() => { double?.setKnobs({ workers: 8, latencyMs: 0 }) })
  const bodies: Attributes[] = []
  const most = double === undefined ? 2 : 12
  for (let made = 0; made < most; made++) bodies.push(await panel.serverBody({ user }))
  const all = (some: Attributes[]) => Promise.all(some.map(body => call('POST', '/servers', body)))
  if (double === undefined) t.comment('a real panel is not overloaded')
  else {
    const starved = await all(bodies)
    t.ok(codes(starved).filter(code => code === '504 DaemonConnectionException').length > most / 2, 'most are 504')
    for (const [index, { status }] of starved.entries()) {
      if (status !== 201) t.same(told(await external(bodies[index]!.external_id)), notFound, 'and rolled back')
      else await call('DELETE', `/servers/${starved[index]!.attributes.id}`)
    }
    t.match(double.state().workers, { busy: 0, queued: 0 }, 'every worker is back')
  }
  for (let from = 0; from < most; from += workers - 1) {
    t.same(new Set(codes(await all(bodies.slice(from, from + workers - 1)))), new Set(['201']))
  }
})
