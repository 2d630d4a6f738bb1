import t from 'tap'
import { notFound, panelUnderTest, told, unauthorized } from './panel-under-test.ts'

const panel = await panelUnderTest(t)
const { call, keys, double } = panel
const unauthenticated = [['AuthenticationException', '401', 'Unauthenticated.']]
const noAccess = [['AccessDeniedHttpException', '403', 'This account does not have permission to access the API.']]

t.test('T01 keys: who is let in, and what a key may do', async t => {
  for (const [what, key] of [['no key', null], ['unknown key', `ptla_${'z'.repeat(43)}`], ['garbage', 'garbage']] as const) {
    const answer = await call('GET', '/users', undefined, { key })
    t.equal(answer.status, 401, what)
    t.equal(answer.text, '{"errors":[{"code":"AuthenticationException","status":"401","detail":"Unauthenticated."}]}', `${what}: compact body`)
    t.equal(answer.headers.get('x-ratelimit-limit'), null, `${what}: not counted`)
  }
  if (double !== undefined) {
    t.same(told(await call('GET', '/users', undefined, { key: `${double.applicationKey.slice(0, 16)}${'z'.repeat(32)}` })), unauthenticated, 'right identifier, wrong secret')
  }
  const user = await panel.makeUser()
  if (keys.none === undefined) t.comment('PANEL_NO_KEY is not set')
  else {
    const refused = await call('GET', '/users', undefined, { key: keys.none })
    t.same([refused.status, told(refused)], [403, unauthorized], 'a key without permission')
    t.match(refused.text, /^\{\n {4}"errors": \[\n {8}\{/, 'pretty-printed')
    t.same(told(await call('GET', '/users/99999999', undefined, { key: keys.none })), notFound, 'an unknown id wins over a missing permission')
    t.same(told(await call('GET', `/users/${user.id}`, undefined, { key: keys.none })), unauthorized, 'a known one does not')
  }
  if (keys.read === undefined) t.comment('PANEL_READ_KEY is not set')
  else {
    t.equal((await call('GET', '/users', undefined, { key: keys.read })).status, 200, 'a reading key reads')
    t.same(told(await call('POST', '/users', { email: 'bad' }, { key: keys.read })), unauthorized, 'a missing permission wins over a bad body')
    // scripts/doctor tries by it what a key may write, and nothing is made.
    for (const path of ['/users', '/servers']) t.same([(await call('POST', path, {}, { key: keys.read })).status, (await call('POST', path, {})).status], [403, 422], `${path}: and over an empty one, which is refused`)
    t.same(told(await call('PATCH', `/users/${user.id}`, {}, { key: keys.read })), unauthorized)
    t.same(told(await call('DELETE', `/users/${user.id}`, undefined, { key: keys.read })), unauthorized)
  }
  if (keys.plainUser === undefined) t.comment('PANEL_PLAIN_KEY is not set')
  else {
    t.same(told(await call('GET', '/users', undefined, { key: keys.plainUser })), noAccess, 'a key whose owner is no administrator')
    t.same(told(await call('GET', '/users/99999999', undefined, { key: keys.plainUser })), notFound)
  }
  if (keys.account === undefined) t.comment('PANEL_ACCOUNT_KEY is not set')
  else t.equal((await call('GET', '/users', undefined, { key: keys.account })).status, 200, 'an account key of an administrator may do everything')
})

t.test('T02 without Accept: application/json errors are redirects', async t => {
  for (const accept of ['*/*', 'text/html']) {
    const invalid = await call('POST', '/users', {}, { accept })
    t.equal(invalid.status, 302)
    t.equal(invalid.headers.get('location')?.replace(/\/$/, ''), panel.url, 'to the root of the site')
    t.match(invalid.text, '<meta http-equiv="refresh"')
    const unknown = await call('GET', '/users', undefined, { accept, key: null })
    t.equal(unknown.status, 302)
    t.equal(unknown.headers.get('location'), `${panel.url}/auth/login`)
  }
  t.equal((await call('GET', '/users', undefined, { accept: '*/*' })).status, 200, 'a success is JSON all the same')
  const vendor = await call('POST', '/users', {}, { accept: 'application/vnd.pterodactyl.v1+json' })
  t.same([vendor.status, vendor.headers.get('content-type')], [422, 'application/json'], 'the panel\'s own type is JSON too')
})

t.test('T03 malformed JSON is 400; JSON under another type is not read', async t => {
  const malformed = await call('POST', '/users', undefined, { raw: '{"email":' })
  t.same([malformed.status, told(malformed)], [400, [['BadRequestHttpException', '400', 'The JSON data passed in the request appears to be malformed: Syntax error']]])
  const plain = await call('POST', '/users', undefined, { raw: JSON.stringify(panel.userBody()), contentType: 'text/plain' })
  t.equal(plain.status, 422)
  t.equal(plain.errors.length, 4, 'as if the body were empty')
})

t.test('T04 unknown routes and wrong methods', async t => {
  const unknown = await call('GET', '/nope')
  t.same([unknown.status, told(unknown)], [404, [['NotFoundHttpException', '404', 'The route api/application/nope could not be found.']]])
  const wrong = await call('PUT', '/users', {})
  t.same([wrong.status, told(wrong)], [405, [['MethodNotAllowedHttpException', '405',
    'The PUT method is not supported for route api/application/users. Supported methods: GET, HEAD, POST.']]])
  t.equal((await call('HEAD', '/users')).status, 200)
  t.equal((await call('GET', '/users/')).status, 200, 'a slash at the end is ignored')
})

t.test('T33 the rate limit belongs to the owner of the key', async t => {
  const counted = await call('GET', '/users?per_page=1', undefined, { isThrottled: true })
  t.match(counted.headers.get('x-ratelimit-limit'), /^\d+$/)
  t.match(counted.headers.get('x-ratelimit-remaining'), /^\d+$/)
  if (double === undefined) return t.comment('the limit of a real panel is not used up')
  double.setKnobs({ rateLimit: 5 })
  double.resetRateLimit()
  t.teardown(() => {
    double.setKnobs({ rateLimit: 100_000 })
    double.resetRateLimit()
  })
  const ask = (key: string | undefined, accept = 'application/json') => call('GET', '/users?per_page=1', undefined, { key: key ?? '', accept, isThrottled: true })
  t.equal((await ask('wrong')).status, 401)
  for (const left of [4, 3, 2, 1, 0]) {
    const answer = await ask(left % 2 === 0 ? double.applicationKey : keys.none)
    t.same([answer.headers.get('x-ratelimit-limit'), answer.headers.get('x-ratelimit-remaining')], ['5', String(left)], 'errors count, 401s do not')
  }
  for (const key of [double.applicationKey, keys.read, keys.account]) {
    const full = await ask(key)
    t.same([full.status, told(full)], [429, [['ThrottleRequestsException', '429', 'Too Many Attempts.']]])
    const wait = Number(full.headers.get('retry-after'))
    t.ok(wait > 50 && wait <= 60, 'Retry-After in seconds')
    t.ok(Math.abs(Number(full.headers.get('x-ratelimit-reset')) - (Date.now() / 1000 + wait)) < 2, 'X-RateLimit-Reset as a unix time')
    t.equal(full.headers.get('x-ratelimit-remaining'), '0')
  }
  const html = await ask(double.applicationKey, '*/*')
  t.equal(html.status, 429)
  t.match(html.text, /^<!DOCTYPE html>/)
  t.equal((await ask(keys.otherAdmin)).headers.get('x-ratelimit-remaining'), '4', 'another administrator has a bucket of their own')
  t.equal((await ask('wrong')).status, 401, 'no key, no limit')
})

t.test('T37 ids in the path are what the database makes of them', async t => {
  const user = await panel.makeUser()
  for (const text of [`${user.id}`, `0${user.id}`, `${user.id}abc`, `${user.id}-26fc6-2ba6-4759`, `%20${user.id}`]) {
    t.equal((await call('GET', `/users/${text}`)).attributes.id, user.id, text)
  }
  for (const text of ['abc', 'nil', `a${user.id}`, '99999999']) t.same(told(await call('GET', `/users/${text}`)), notFound, text)
  const server = await panel.makeServer({ user: user.id })
  t.equal((await call('GET', `/servers/${server.id}ca26fc6-2ba6-4759-b11c-d035681747c6`)).attributes.id, server.id, 'a uuid is not a uuid here')
  t.equal((await call('DELETE', `/servers/${server.id}-whatever`)).status, 204)
  t.equal((await call('GET', `/servers/${server.id}`)).status, 404)
  t.same(told(await call('DELETE', '/servers/99999999/bogus')), notFound)
})

t.test('T39 maintenance is 503 for everybody, uncounted', async t => {
  if (double === undefined) return t.comment('a real panel is not taken down')
  double.setKnobs({ maintenance: true })
  t.teardown(() => { double.setKnobs({ maintenance: false }) })
  for (const key of [double.applicationKey, null]) {
    const answer = await call('GET', '/users', undefined, { key })
    t.same([answer.status, told(answer)], [503, [['HttpException', '503', 'Service Unavailable']]])
    t.equal(answer.headers.get('x-ratelimit-limit'), null)
  }
})

t.test('T40 a panel that asks for a second factor answers 400 to keys of owners without', async t => {
  if (double === undefined) return t.comment('the settings of a real panel are not changed')
  double.setKnobs({ twoFactorRequired: true })
  t.teardown(() => { double.setKnobs({ twoFactorRequired: false }) })
  const answer = await call('GET', '/users')
  t.same([answer.status, answer.errors[0]?.code, answer.errors[0]?.status], [400, 'TwoFactorAuthRequiredException', '400'])
})
