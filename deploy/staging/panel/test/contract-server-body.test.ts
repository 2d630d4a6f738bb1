import t from 'tap'
import { failed, fieldsAndRules, idsOf, panelUnderTest, told, unexpected, without } from './panel-under-test.ts'
import type { Attributes } from './panel-under-test.ts'

const panel = await panelUnderTest(t)
const { call } = panel
const user = (await panel.makeUser()).id
const create = async (special: Attributes = {}, ...left: string[]) => call('POST', '/servers', without(await panel.serverBody({ user, ...special }), ...left))

t.test('T16 an empty body: sixteen failures, in order', async t => {
  const { status, text } = await call('POST', '/servers', {})
  t.equal(status, 422)
  const expected = [
    ['name', 'required', 'name field is required'], ['user', 'required', 'user field is required'], ['egg', 'required', 'egg field is required'],
    ['docker_image', 'required', 'docker image field is required'], ['startup', 'required', 'startup field is required'],
    ['environment', 'present', 'environment field must be present'], ['limits', 'required', 'limits field is required'],
    ['limits.memory', 'required', 'limits.memory field is required'], ['limits.swap', 'required', 'limits.swap field is required'],
    ['limits.disk', 'required', 'limits.disk field is required'], ['limits.io', 'required', 'limits.io field is required'],
    ['limits.cpu', 'required', 'limits.cpu field is required'], ['feature_limits', 'required', 'feature limits field is required'],
    ['feature_limits.databases', 'present', 'feature limits.databases field must be present'],
    ['feature_limits.backups', 'present', 'feature limits.backups field must be present'],
    ['allocation.default', 'required', 'allocation.default field is required']
  ]
  t.equal(text, `{"errors":[${expected.map(([field, rule, detail]) =>
    `{"code":"ValidationException","status":"422","detail":"The ${detail}.","meta":{"source_field":"${field}","rule":"${rule}"}}`).join(',')}]}`)
})

t.test('T16 the rules of the other fields', async t => {
  const limits = { memory: 512, swap: 0, disk: 1024, io: 500, cpu: 100 }
  const refused: Array<[string, Attributes, ...Array<ReturnType<typeof failed>>]> = [
    ['unknown user', { user: 99999999 }, failed('user', 'exists', 'The selected user is invalid.')],
    ['unknown egg', { egg: 99999999 }, failed('egg', 'exists', 'The selected egg is invalid.')],
    ['image', { docker_image: 'a;b' }, failed('docker_image', 'regex', 'The docker image format is invalid.')],
    ['image of 192', { docker_image: 'a'.repeat(192) }, failed('docker_image', 'max', 'The docker image may not be greater than 191 characters.')],
    ['startup empty', { startup: '' }, failed('startup', 'required', 'The startup field is required.')],
    ['name of 192', { name: 'n'.repeat(192) }, failed('name', 'max', 'The name may not be greater than 191 characters.')],
    ['start_on_completion', { start_on_completion: 'yes' }, failed('start_on_completion', 'boolean', 'The start on completion field must be true or false.')],
    ['limits out of range', { limits: { memory: -1, swap: -2, disk: -1, io: 5, threads: 'x', cpu: -1 } },
      failed('limits.memory', 'min', 'The limits.memory must be at least 0.'), failed('limits.swap', 'min', 'The limits.swap must be at least -1.'),
      failed('limits.disk', 'min', 'The limits.disk must be at least 0.'), failed('limits.io', 'between', 'The limits.io must be between 10 and 1000.'),
      failed('limits.threads', 'regex', 'The limits.threads format is invalid.'), failed('limits.cpu', 'min', 'The limits.cpu must be at least 0.')],
    ['feature_limits empty', { feature_limits: {} }, failed('feature_limits', 'required', 'The feature limits field is required.'),
      failed('feature_limits.databases', 'present', 'The feature limits.databases field must be present.'),
      failed('feature_limits.backups', 'present', 'The feature limits.backups field must be present.')],
    ['feature_limits below 0', { feature_limits: { databases: -1, allocations: 0, backups: -1 } },
      failed('feature_limits.databases', 'min', 'The feature limits.databases must be at least 0.'),
      failed('feature_limits.backups', 'min', 'The feature limits.backups must be at least 0.')]
  ]
  for (const [what, special, ...failures] of refused) {
    const answer = await create(special)
    t.same([answer.status, told(answer)], [422, failures], what)
  }
  t.same(fieldsAndRules(await create({ limits: { memory: 1 } })), ['limits.swap required', 'limits.disk required', 'limits.io required', 'limits.cpu required'])
  const odd = await create({ limits: { ...limits, memory: '512', disk: 1024.6, threads: '0-1,3' } })
  t.match(odd.attributes.limits, { memory: 512, disk: 1025, threads: '0-1,3' }, 'numbers as text, and rounded')
})

t.test('T17 a server is created', async t => {
  const body = await panel.serverBody({ user, environment: { SERVER_JARFILE: 'server.jar', BUILD_NUMBER: '1', NONSENSE: 'x' }, feature_limits: { databases: null, backups: null }, node: 99999999, nest: 99999999, docker_image: 'nginx:latest' })
  const { status, json, attributes } = await call('POST', '/servers', body)
  t.equal(status, 201)
  t.same(Object.keys(json!), ['object', 'attributes'], 'no meta')
  t.same(Object.keys(attributes), ['id', 'external_id', 'uuid', 'identifier', 'name', 'description', 'status', 'suspended', 'limits', 'feature_limits', 'user', 'node', 'allocation', 'nest', 'egg', 'container', 'updated_at', 'created_at'])
  t.match(attributes, { external_id: body.external_id, identifier: attributes.uuid.slice(0, 8), status: 'installing', suspended: false, user, node: panel.nodeId, nest: panel.egg.nest, egg: panel.egg.id, allocation: body.allocation.default, description: '' })
  t.same(attributes.limits, { memory: 512, swap: 0, disk: 1024, io: 500, cpu: 100, threads: null, oom_disabled: true })
  t.same(attributes.feature_limits, { databases: 0, allocations: 0, backups: 0 }, 'null is 0')
  t.match(attributes.container, { startup_command: body.startup, image: 'nginx:latest', installed: 0 }, 'any image will do')
  const { environment } = attributes.container
  t.match(environment, { SERVER_JARFILE: 'server.jar', BUILD_NUMBER: '1', STARTUP: body.startup, P_SERVER_UUID: attributes.uuid, P_SERVER_ALLOCATION_LIMIT: 0 })
  t.equal(environment.MINECRAFT_VERSION, '', 'the default of the egg is not filled in')
  t.notOk('NONSENSE' in environment)
  t.ok('P_SERVER_LOCATION' in environment)
  t.equal((await create({ oom_disabled: false })).attributes.limits.oom_disabled, false)
})

t.test('T18 the allocation must exist and be free', async t => {
  const server = await panel.makeServer({ user })
  const invalid = failed('allocation.default', 'exists', 'The selected allocation.default is invalid.')
  t.same(told(await create({ allocation: { default: server.allocation } })), [invalid], 'taken')
  t.same(told(await create({ allocation: { default: 99999999 } })), [invalid], 'unknown')
  t.same(told(await create({ allocation: { default: 'x' } })), [failed('allocation.default', 'integer', 'The allocation.default must be an integer.')])
  t.same(told(await create({}, 'allocation')), [failed('allocation.default', 'required', 'The allocation.default field is required.')])
  const body = await panel.serverBody({ user })
  t.same(told(await call('POST', '/servers', { ...body, allocation: { ...body.allocation, additional: [server.allocation] } })),
    [failed('allocation.additional.0', 'exists', 'The selected allocation.additional.0 is invalid.')])
  const extra = (await panel.serverBody({ user })).allocation.default
  const both = await call('POST', '/servers', { ...body, allocation: { ...body.allocation, additional: [extra] } })
  t.same(idsOf(await call('GET', `/nodes/${panel.nodeId}/allocations?filter[server_id]=${both.attributes.id}`)), [body.allocation.default, extra].toSorted((a, b) => a - b))
  t.same(told(await create({ deploy: { locations: [], dedicated_ip: false, port_range: ['1-2'] } }, 'allocation')),
    [['NoViableAllocationException', '400', 'No allocations satisfying the requirements for automatic deployment were found.']])
  t.same(told(await create({ deploy: { locations: [], dedicated_ip: false, port_range: [] }, limits: { memory: 99999999, swap: 0, disk: 1, io: 500, cpu: 0 } }, 'allocation')),
    [['NoViableNodeException', '400', 'No nodes satisfying the requirements specified for automatic deployment could be found.']])
})

t.test('T19 the external id is taken once, and empty is none', async t => {
  const server = await panel.makeServer({ user })
  t.same(told(await create({ external_id: server.external_id })), [failed('external_id', 'unique', 'The external id has already been taken.')])
  t.same(told(await create({ external_id: 'x'.repeat(192) })), [failed('external_id', 'between', 'The external id must be between 1 and 191 characters.')])
  for (const none of ['', null]) t.equal((await create({ external_id: none })).attributes.external_id, null)
})

t.test('T20 the environment is held to the rules of the egg', async t => {
  t.same(told(await create({ environment: {} })), [
    failed('environment.SERVER_JARFILE', 'required', 'The Server Jar File variable field is required.'),
    failed('environment.BUILD_NUMBER', 'required', 'The Build Number variable field is required.')
  ])
  t.same(told(await create({ environment: { SERVER_JARFILE: 'nonsense', BUILD_NUMBER: 'x'.repeat(21) } })), [
    failed('environment.SERVER_JARFILE', 'regex', 'The Server Jar File variable format is invalid.'),
    failed('environment.BUILD_NUMBER', 'max', 'The Build Number variable may not be greater than 20 characters.')
  ])
  t.same(told(await create({ environment: { SERVER_JARFILE: 'server.jar', BUILD_NUMBER: 12 } })), [
    failed('environment.BUILD_NUMBER', 'string', 'The Build Number variable must be a string.')
  ])
  t.same(told(await create({ environment: 'text' })), [failed('environment', 'array', 'The environment must be an array.')])
  t.same(told(await create({}, 'environment')), [failed('environment', 'present', 'The environment field must be present.')])
})

t.test('T21 an allocation of one\'s own choice is not held to the capacity of the node', async t => {
  const answer = await create({ limits: { memory: 99999999, swap: 0, disk: 1024, io: 500, cpu: 100 } })
  t.same([answer.status, answer.attributes.limits?.memory], [201, 99999999])
  await call('DELETE', `/servers/${answer.attributes.id}`)
})

t.test('T35 a create can include what belongs to the server', async t => {
  const body = await panel.serverBody({ user })
  const { status, attributes } = await call('POST', '/servers?include=allocations,user,node,nonsense', body)
  t.equal(status, 201)
  t.same(Object.keys(attributes.relationships), ['allocations', 'user', 'node'])
  t.match(attributes.relationships.allocations.data, [{ object: 'allocation', attributes: { id: body.allocation.default, assigned: true } }])
  const one = (include: string) => call('GET', `/servers/${attributes.id}?include=${include}`)
  t.match((await one('variables')).attributes.relationships.variables.data[0], { object: 'server_variable', attributes: { env_variable: 'MINECRAFT_VERSION', server_value: 'latest' } })
  t.same(told(await one('transfer')), unexpected('TypeError'), 'an include that breaks 1.11')
  const deep = await call('GET', `/users/${user}?include=servers.allocations`)
  t.equal(deep.attributes.relationships.servers.data[0].attributes.relationships.allocations.object, 'list', 'two levels')
})

t.test('T36 lists of ids find servers in one call', async t => {
  const own = panel.name()
  const [a, b, c] = [await panel.makeServer({ user, external_id: `${own}-a` }), await panel.makeServer({ user, external_id: `${own}-b` }), await panel.makeServer({ user, external_id: `${own}-c` })]
  const find = async (query: string) => idsOf(await call('GET', `/servers?sort=id&${query}`))
  t.same(await find(`filter[uuid]=${a.uuid},${c.uuid}`), [a.id, c.id])
  t.same(await find(`filter[external_id]=${own}-b,${own}-c`), [b.id, c.id])
  t.same(await find(`filter[external_id]=${own}`), [a.id, b.id, c.id], 'a common beginning')
  t.same(await find(`filter[uuidShort]=${b.identifier}`), [b.id])
  t.equal((await call('GET', `/servers/external/${own}-B`)).attributes.id, b.id)
  for (const name of ['owner_id', 'node_id', 'status']) {
    t.same(told(await call('GET', `/servers?filter[${name}]=1`)), [['InvalidFilterQuery', '400',
      `Requested filter(s) \`${name}\` are not allowed. Allowed filter(s) are \`uuid, uuidShort, name, description, image, external_id\`.`]])
  }
  t.same(told(await call('GET', '/servers?sort=name')), [['InvalidSortQuery', '400', 'Requested sort(s) `name` is not allowed. Allowed sort(s) are `id, uuid`.']])
  t.ok((await find('search=nonsense')).length >= 3, 'search is ignored')
})

t.test('T38 an update of details without external_id loses it', async t => {
  const server = await panel.makeServer({ user })
  const change = (special: Attributes) => call('PATCH', `/servers/${server.id}/details`, { name: server.name, user, ...special })
  t.equal((await change({ external_id: server.external_id })).attributes.external_id, server.external_id)
  t.equal((await change({})).attributes.external_id, null)
  const back = await change({ external_id: server.external_id, description: 'd' })
  t.match([back.status, back.attributes], [200, { external_id: server.external_id, description: 'd' }])
})
