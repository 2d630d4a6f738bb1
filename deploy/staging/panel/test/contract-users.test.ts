import t from 'tap'
import { failed, fieldsAndRules, idsOf, notFound, panelUnderTest, told, unexpected, without } from './panel-under-test.ts'
import type { Attributes } from './panel-under-test.ts'

const panel = await panelUnderTest(t)
const { call, double, prefix } = panel
const external = (id: string) => call('GET', `/users/external/${encodeURIComponent(id)}`)
const USERNAME = 'The username must start and end with alpha-numeric characters and\n                contain only letters, numbers, dashes, underscores, and periods.'

t.test('T05 a user is created', async t => {
  const body = panel.userBody()
  const { status, json } = await call('POST', '/users', body)
  t.equal(status, 201)
  t.same(Object.keys(json!), ['object', 'attributes', 'meta'])
  t.same(Object.keys(json!.attributes), ['id', 'external_id', 'uuid', 'username', 'email', 'first_name', 'last_name', 'language', 'root_admin', '2fa', 'created_at', 'updated_at'])
  t.match(json!.attributes, { external_id: body.external_id, username: body.username, email: body.email, first_name: 'Contract', last_name: 'Suite', language: 'en', root_admin: false, '2fa': false })
  t.match(json!.attributes.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/)
  t.same(json!.meta, { resource: `${panel.url}/api/application/users/${json!.attributes.id}` })
})

t.test('T06 every rule of a user', async t => {
  const refused: Array<[string, Attributes, ReturnType<typeof failed>]> = [
    ['username of two', { username: 'ab' }, failed('username', 'p_username', USERNAME)],
    ['username: a JID', { username: '15550001@s.whatsapp.net' }, failed('username', 'p_username', USERNAME)],
    ['username: a plus', { username: 'abc+def' }, failed('username', 'p_username', USERNAME)],
    ['username: a space', { username: 'abc def' }, failed('username', 'p_username', USERNAME)],
    ['username: an underscore in front', { username: '_abc' }, failed('username', 'p_username', USERNAME)],
    ['username: not ASCII', { username: 'abcé' }, failed('username', 'p_username', USERNAME)],
    ['username of 192', { username: 'a'.repeat(192) }, failed('username', 'between', 'The username must be between 1 and 191 characters.')],
    ['email', { email: 'nonsense' }, failed('email', 'email', 'The email must be a valid email address.')],
    ['external_id of 192', { external_id: 'x'.repeat(192) }, failed('external_id', 'max', 'The Third Party Identifier may not be greater than 191 characters.')],
    ['external_id: a number', { external_id: 15550001 }, failed('external_id', 'string', 'The Third Party Identifier must be a string.')],
    ['first_name missing', { first_name: undefined }, failed('first_name', 'required', 'The first name field is required.')],
    ['first_name empty', { first_name: '' }, failed('first_name', 'required', 'The first name field is required.')],
    ['first_name of 192', { first_name: 'x'.repeat(192) }, failed('first_name', 'between', 'The first name must be between 1 and 191 characters.')],
    ['password: a number', { password: 12345678 }, failed('password', 'string', 'The password must be a string.')],
    ['root_admin', { root_admin: 'yes' }, failed('root_admin', 'boolean', 'The Root Administrator Status field must be true or false.')],
    ['language', { language: 'de' }, failed('language', 'in', 'The selected language is invalid.')]
  ]
  for (const [what, special, failure] of refused) {
    const answer = await call('POST', '/users', panel.userBody(special))
    t.same([answer.status, told(answer)], [422, [failure]], what)
  }
  t.equal((await call('POST', '/users', {})).text, '{"errors":[' + [['email', 'email'], ['username', 'username'], ['first_name', 'first name'], ['last_name', 'last name']].map(([field, label]) =>
    `{"code":"ValidationException","status":"422","detail":"The ${label} field is required.","meta":{"source_field":"${field}","rule":"required"}}`).join(',') + ']}', 'nothing at all: the exact bytes')

  const number = Number(`7${Date.now()}`)
  const accepted: Array<[string, Attributes, Attributes]> = [
    ['upper case in the username is lowered', { username: `${prefix}-UPPER` }, { username: `${prefix}-upper` }],
    ['upper case in the e-mail is kept', { email: `${prefix}-UPPER@Example.invalid` }, { email: `${prefix}-UPPER@Example.invalid` }],
    ['username: a number', { username: number }, { username: String(number) }],
    ['email without a dot in its domain', { email: `${prefix}-tld@localhost` }, { email: `${prefix}-tld@localhost` }],
    ['external_id null', { external_id: null }, { external_id: null }],
    ['external_id empty', { external_id: '' }, { external_id: null }],
    ['password of one letter', { password: 'x' }, {}],
    ['no password', { password: undefined }, {}],
    ['root_admin "1"', { root_admin: '1' }, { root_admin: true }],
    ['spaces around', { first_name: '  Contract  ' }, { first_name: 'Contract' }],
    ['an unknown field', { nonsense: true }, {}]
  ]
  for (const [what, special, expected] of accepted) {
    const answer = await call('POST', '/users', panel.userBody(special))
    t.equal(answer.status, 201, what)
    t.match(answer.attributes, expected, what)
  }
})

t.test('T07 what is taken is told at once, field by field', async t => {
  const body = panel.userBody()
  await panel.makeUser(body)
  const answer = await call('POST', '/users', body)
  t.same([answer.status, told(answer)], [422, [
    failed('email', 'unique', 'The email has already been taken.'),
    failed('external_id', 'unique', 'The Third Party Identifier has already been taken.'),
    failed('username', 'unique', 'The username has already been taken.')
  ]])
  t.same(fieldsAndRules(await call('POST', '/users', panel.userBody({ external_id: body.external_id.toUpperCase() }))), ['external_id unique'], 'in any case')
})

t.test('T08 lookup by external id, as the database compares', async t => {
  const id = `${panel.name()} c+d%e?f#g:12@Lid`
  const { id: userId } = await panel.makeUser({ external_id: id })
  t.equal((await external(id)).attributes.id, userId, 'encoded')
  t.equal((await external(id.toUpperCase())).attributes.id, userId, 'case does not count')
  t.equal((await external(`${id} `)).attributes.id, userId, 'nor does a space at the end')
  t.equal((await external(id.replace('e?', 'é?'))).attributes.id, userId, 'nor do accents')
  const jid = `${panel.name()}@s.whatsapp.net`
  await panel.makeUser({ external_id: jid })
  t.equal((await call('GET', `/users/external/${jid}`)).status, 200, 'a raw @')
  t.equal((await call('GET', `/users/external/${jid}?include=servers`)).json?.attributes.relationships.servers.object, 'list')
  t.same(told(await external(`${prefix}-nobody`)), notFound)
  const slash = await external(`${prefix}/x`)
  t.equal(slash.status, 404)
  t.match(slash.errors[0]?.detail, /^The route api\/application\/users\/external\/.* could not be found\.$/, 'a slash is not part of an id, even encoded')
})

t.test('T09 filters find parts, lists and nothing else', async t => {
  const own = panel.name()
  const [a, b] = [await panel.makeUser({ external_id: `5${own}_1` }), await panel.makeUser({ external_id: `95${own}_1` })]
  const c = await panel.makeUser({ external_id: `5${own}x1` })
  const find = async (query: string) => idsOf(await call('GET', `/users?sort=id&${query}`))
  t.same(await find(`filter[external_id]=5${own}_1`), [a.id, b.id], 'a part is enough: compare yourself')
  t.same(await find(`filter[external_id]=${own.toUpperCase()}_`), [a.id, b.id], 'in any case; _ is no wildcard')
  t.same(await find(`filter[email]=${a.email},${c.email}`), [a.id, c.id], 'a comma is OR')
  t.same(await find(`filter[email]=${a.email}&filter[username]=${c.username}`), [], 'two filters are AND')
  t.same(await find(`filter[uuid]=${b.uuid}`), [b.id])
  t.ok((await call('GET', '/users?filter[email]=')).json?.meta.pagination.total > 3, 'an empty one is none')
  t.same(told(await call('GET', '/users?filter[name]=x')), [['InvalidFilterQuery', '400', 'Requested filter(s) `name` are not allowed. Allowed filter(s) are `email, uuid, username, external_id`.']])
  t.same(told(await call('GET', '/users?sort=email')), [['InvalidSortQuery', '400', 'Requested sort(s) `email` is not allowed. Allowed sort(s) are `id, uuid`.']])
})

t.test('T10 pages', async t => {
  const own = panel.name()
  const ids: number[] = []
  for (let made = 0; made < 5; made++) ids.push((await panel.makeUser({ external_id: `${own}-${made}` })).id)
  const at = async (query: string) => {
    const answer = await call('GET', `/users?filter[external_id]=${own}&${query}`)
    return { ...answer, page: answer.json?.meta?.pagination, ids: answer.status === 200 ? idsOf(answer) : [] }
  }
  const list = `${panel.url}/api/application/users`
  t.same((await at('sort=id')).page, { total: 5, count: 5, per_page: 50, current_page: 1, total_pages: 1, links: {} })
  t.same((await at('sort=id&per_page=2&page=2')).page, { total: 5, count: 2, per_page: 2, current_page: 2, total_pages: 3,
    links: { previous: `${list}?page=1`, next: `${list}?page=3` } }, 'links have lost everything but the page')
  const beyond = await at('sort=id&per_page=2&page=99')
  t.same([beyond.status, beyond.ids, beyond.page.current_page], [200, [], 99])
  t.same((await at('sort=-id&per_page=3')).ids, ids.toReversed().slice(0, 3))
  t.equal((await at('per_page=100000')).page.per_page, 100_000, 'no maximum')
  t.equal((await at('per_page=0')).page.per_page, 15)
  for (const page of ['0', 'abc']) t.equal((await at(`page=${page}`)).page.current_page, 1)
  t.same(told(await at('per_page=-1')), unexpected('QueryException'))
  t.same(told(await at('per_page=abc')), unexpected('TypeError'))
  t.same((await at('sort=id&include=nope')).ids, ids, 'an unknown include is ignored')
})

t.test('T11 an update asks for four fields again, and keeps the others', async t => {
  const user = await panel.makeUser()
  const four = { email: user.email, username: user.username, first_name: 'New', last_name: user.last_name }
  const change = (body: Attributes) => call('PATCH', `/users/${user.id}`, body)
  t.same(fieldsAndRules(await change({ first_name: 'New' })), ['email required', 'username required', 'last_name required'])
  const kept = await change(four)
  t.equal(kept.status, 200)
  t.same(Object.keys(kept.json!), ['object', 'attributes'])
  t.match(kept.attributes, { first_name: 'New', external_id: user.external_id, root_admin: false, uuid: user.uuid })
  t.equal((await change({ ...four, external_id: null })).attributes.external_id, null, 'null clears it')
  t.equal((await change({ ...four, external_id: user.external_id })).attributes.external_id, user.external_id)
  const other = await panel.makeUser()
  t.same(fieldsAndRules(await change({ ...four, email: other.email })), ['email unique'], 'somebody else\'s')
  if (double === undefined) return t.comment('logging in is not tried')
  t.ok(double.login(user.username, 'not-a-secret-1'), 'the password was kept')
  await change({ ...four, password: 'not-a-secret-2' })
  t.notOk(double.login(user.username, 'not-a-secret-1'))
  t.ok(double.login(user.email, 'not-a-secret-2'), 'and can be changed')
})

t.test('T12 a user with a server stays', async t => {
  const server = await panel.makeServer()
  const remove = () => call('DELETE', `/users/${server.user}`)
  const refused = await remove()
  t.same([refused.status, refused.text], [400, '{"errors":[{"code":"DisplayException","status":"400","detail":"Cannot delete a user with active servers attached to their account. Please delete their servers before continuing."}]}'])
  t.same((await call('GET', `/users/${server.user}?include=servers`)).attributes.relationships.servers.data.map((item: Attributes) => item.attributes.id), [server.id])
  t.equal((await call('DELETE', `/servers/${server.id}`)).status, 204)
  const removed = await remove()
  t.same([removed.status, removed.text], [204, ''])
  t.same(told(await remove()), notFound)
})

t.test('T30 of many who create the same user, one does', async t => {
  const losers = new Set<string>()
  for (const windows of [{ raceWindowMs: 0, insertWindowMs: 0 }, { raceWindowMs: 80, insertWindowMs: 0 }, { raceWindowMs: 0, insertWindowMs: 80 }]) {
    double?.setKnobs(windows)
    const body = panel.userBody()
    const answers = await Promise.all(Array.from({ length: 8 }, () => call('POST', '/users', body)))
    t.equal(answers.filter(({ status }) => status === 201).length, 1)
    // One more who comes when all is over is told by the validation.
    answers.push(await call('POST', '/users', body))
    for (const answer of answers) if (answer.status !== 201) losers.add(`${answer.status} ${answer.errors[0]?.code}`)
    t.equal((await call('GET', `/users?filter[email]=${body.email}`)).json?.meta.pagination.total, 1)
  }
  double?.setKnobs({ raceWindowMs: 0, insertWindowMs: 0 })
  const known = ['422 ValidationException', '500 DataValidationException', '500 UniqueConstraintViolationException']
  t.same([...losers].filter(loser => !known.includes(loser)), [])
  if (double !== undefined) t.same([...losers].toSorted(), known, 'each way of losing was seen')
})

t.test('T31 users with one external id and different e-mails may double', async t => {
  double?.setKnobs({ insertWindowMs: 80 })
  const id = panel.name()
  const answers = await Promise.all(Array.from({ length: 4 }, () => call('POST', '/users', panel.userBody({ external_id: id }))))
  double?.setKnobs({ insertWindowMs: 0 })
  const made = answers.filter(({ status }) => status === 201).map(({ attributes }) => attributes.id)
  t.ok(made.length >= 1)
  if (double === undefined) t.comment(`${made.length} of 4 were made`)
  else t.equal(made.length, 4, 'the column has no unique key')
  t.ok(made.includes((await external(id)).attributes.id), 'the lookup gives one of them')
})

t.test('T34 when the mail cannot be queued the answer is 500, and the user exists', async t => {
  if (double === undefined) return t.comment('the mail of a real panel is not broken')
  double.setKnobs({ mailFault: true })
  t.teardown(() => { double.setKnobs({ mailFault: false }) })
  const body = panel.userBody()
  t.same(told(await call('POST', '/users', body)), unexpected('TransportException'))
  t.match((await external(body.external_id)).attributes, without(body, 'password'))
})
