import t from 'tap'
import { failed, idsOf, notFound, panelUnderTest, told } from './panel-under-test.ts'
import type { Attributes } from './panel-under-test.ts'

const panel = await panelUnderTest(t)
const { call, double, keys, nodeId } = panel
const allocations = (query: string) => call('GET', `/nodes/${nodeId}/allocations?per_page=1000&${query}`)
const total = async (query: string) => (await allocations(query)).json?.meta.pagination.total as number

t.test('T13 allocations, and which are free', async t => {
  const server = await panel.makeServer()
  const all = await total('')
  const free = await total('filter[server_id]=0')
  t.ok(free < all)
  for (const value of ['false', 'null', 'abc', 'true']) t.equal(await total(`filter[server_id]=${value}`), free, `server_id=${value} asks for free ones`)
  t.equal(await total('filter[server_id]='), all, 'an empty one does not filter')
  t.same(idsOf(await allocations(`filter[server_id]=${server.id}`)), [server.allocation])
  t.ok((await allocations('filter[server_id]=0')).json?.data.every((item: Attributes) => item.attributes.assigned === false))

  const listed = await allocations('include=server')
  const one = listed.json?.data.find((item: Attributes) => item.attributes.id === server.allocation)
  t.same(Object.keys(one.attributes), ['id', 'ip', 'alias', 'port', 'notes', 'assigned', 'relationships'])
  t.equal(one.attributes.assigned, true)
  t.equal(one.attributes.relationships.server.attributes.id, server.id)
  const other = listed.json?.data.find((item: Attributes) => item.attributes.assigned === false)
  t.same(other.attributes.relationships.server, { object: 'null_resource', attributes: null })
  const two = [one.attributes.port, other.attributes.port]
  t.equal(await total(`filter[port]=${two.join(',')}&filter[ip]=${one.attributes.ip}`), 2)
  t.equal(await total(`filter[ip]=${one.attributes.ip.slice(0, 4)}`), 0, 'an address is compared whole')
  t.same(told(await allocations('filter[assigned]=0')), [['InvalidFilterQuery', '400', 'Requested filter(s) `assigned` are not allowed. Allowed filter(s) are `ip, port, ip_alias, server_id`.']])
  t.equal((await allocations('sort=nonsense')).status, 200, 'a sort is ignored')
  t.same(told(await call('GET', '/nodes/99999999/allocations')), notFound)
  t.same(told(await call('DELETE', `/nodes/${nodeId}/allocations/${server.allocation}`)), [['ServerUsingAllocationException', '400',
    'A server is currently assigned to this allocation. An allocation can only be deleted if no server is currently assigned.']])
})

t.test('T13 allocations are added and removed', async t => {
  const add = (body: unknown) => call('POST', `/nodes/${nodeId}/allocations`, body)
  t.same(told(await add({ ip: '127.9.9.9', ports: [25565] })), [failed('ports.0', 'string', 'The ports.0 must be a string.')])
  for (const port of ['80', '1024', '70000']) {
    t.same(told(await add({ ip: '127.9.9.9', ports: [port] })), [['PortOutOfRangeException', '400', 'Ports in an allocation must be greater than 1024 and less than or equal to 65535.']])
  }
  t.same(told(await add({ ip: '127.9.9.9', ports: ['abc'] })), [['InvalidPortMappingException', '400', 'The mapping provided for abc was invalid and could not be processed.']])
  t.equal((await add({ ip: '127.9.9.9', ports: ['2000-3001'] })).errors[0]?.code, 'TooManyPortsInRangeException')
  for (const time of ['once', 'twice']) t.equal((await add({ ip: '127.9.9.9', ports: ['25565', '25570-25571'] })).status, 204, time)
  const made = idsOf(await allocations('filter[ip]=127.9.9.9'))
  t.equal(made.length, 3, 'what is there is not doubled')
  for (const id of made) t.equal((await call('DELETE', `/nodes/${nodeId}/allocations/${id}`)).status, 204)
  t.same(told(await call('DELETE', `/nodes/${nodeId}/allocations/${made[0]}`)), notFound)
})

t.test('T14 a node with allocations and servers in one call', async t => {
  const server = await panel.makeServer()
  const { attributes } = await call('GET', `/nodes/${nodeId}?include=allocations,servers,location`)
  t.same(Object.keys(attributes), ['id', 'uuid', 'public', 'name', 'description', 'location_id', 'fqdn', 'scheme', 'behind_proxy', 'maintenance_mode', 'memory',
    'memory_overallocate', 'disk', 'disk_overallocate', 'upload_size', 'daemon_listen', 'daemon_sftp', 'daemon_base', 'created_at', 'updated_at',
    'allocated_resources', 'relationships'])
  t.equal(attributes.relationships.allocations.data.length, await total(''))
  t.ok(attributes.relationships.servers.data.some((item: Attributes) => item.attributes.id === server.id))
  t.ok(attributes.allocated_resources.memory >= 512)
  t.equal(attributes.relationships.location.object, 'location')
  t.ok(idsOf(await call('GET', `/nodes?filter[name]=${attributes.name.slice(1)}`)).includes(nodeId))
  t.same(told(await call('GET', '/nodes/deployable')), [failed('memory', 'required', 'The memory field is required.'), failed('disk', 'required', 'The disk field is required.')])
  t.same(told(await call('GET', '/nodes/deployable?memory=99999999&disk=99999999')), [['NoViableNodeException', '400',
    'No nodes satisfying the requirements specified for automatic deployment could be found.']])
  t.equal((await call('GET', '/nodes/deployable?memory=1&disk=1')).json?.object, 'list')
  if (double === undefined) return t.comment('a key for users alone is not given')
  const { relationships } = (await call('GET', `/users/${server.user}?include=servers`, undefined, { key: keys.account! })).attributes
  t.equal(relationships.servers.object, 'list')
  t.same((await call('GET', `/users/${server.user}?include=servers`, undefined, { key: double.keys.usersOnly })).attributes.relationships,
    { servers: { object: 'null_resource', attributes: null } }, 'an include the key may not read')
})

t.test('T15 an egg with its variables', async t => {
  const { id, nest } = panel.egg
  const { attributes } = await call('GET', `/nests/${nest}/eggs/${id}?include=variables,nest,servers`)
  t.match(Object.keys(attributes), ['id', 'uuid', 'name', 'nest', 'author', 'description', 'docker_image', 'docker_images', 'config', 'startup', 'script', 'created_at', 'updated_at', 'relationships'])
  t.same(Object.keys(attributes.config), ['files', 'startup', 'stop', 'logs', 'file_denylist', 'extends'])
  const [variable] = attributes.relationships.variables.data
  t.equal(variable.object, 'egg_variable')
  t.same(Object.keys(variable.attributes), ['id', 'egg_id', 'name', 'description', 'env_variable', 'default_value', 'user_viewable', 'user_editable', 'rules', 'created_at', 'updated_at'])
  t.match(variable.attributes.created_at, /\.\d{6}Z$/, 'times are in another format here')
  t.same(attributes.relationships.variables.data.map((item: Attributes) => [item.attributes.env_variable, item.attributes.rules]), [
    ['MINECRAFT_VERSION', 'nullable|string|max:20'], ['SERVER_JARFILE', 'required|regex:/^([\\w\\d._-]+)(\\.jar)$/'], ['DL_PATH', 'nullable|string'], ['BUILD_NUMBER', 'required|string|max:20']
  ])
  t.equal(attributes.relationships.nest.attributes.id, nest)
  t.same(told(await call('GET', `/nests/${nest + 1}/eggs/${id}`)), notFound, 'an egg is found in its own nest only')
  t.same(told(await call('GET', `/nests/${nest}/eggs/99999999`)), notFound)
  const eggs = await call('GET', `/nests/${nest}/eggs`)
  t.same(Object.keys(eggs.json!), ['object', 'data'], 'a list without pages')
  t.equal((await call('GET', '/nests')).json?.data[0].object, 'nest')
})
