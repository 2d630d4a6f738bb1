import t from 'tap'
import { createOutcomeOf, errorsOf, faultOf, isGone, type Answer } from '../panel-fault.ts'

const answer = (status: number, code?: string, meta?: object, ...more: object[]): Answer =>
  ({ kind: 'answer', status, errors: errorsOf({ errors: code === undefined ? [] : [{ code, status: String(status), detail: 'secret text', meta }, ...more] }), body: undefined, retryAfterMs: undefined })
const invalid = (...failures: Array<[string, string]>): Answer =>
  ({ ...answer(422), errors: failures.map(([field, rule]) => ({ code: 'ValidationException', field, rule })) })

t.test('the fault behind an answer', async (t) => {
  const codes = (given: Answer): string => { const { kind, code } = faultOf(given); return `${kind} ${code}` }
  for (const [given, expected] of [
    [answer(401, 'AuthenticationException'), 'transient PANEL_KEY_REFUSED'],
    [answer(403, 'AccessDeniedHttpException'), 'transient PANEL_KEY_REFUSED'],
    [answer(400, 'TwoFactorAuthRequiredException'), 'transient PANEL_KEY_REFUSED'],
    // What Wings says about itself comes with any status.
    [answer(403, 'DaemonConnectionException'), 'transient NODE_DOWN'],
    [answer(404, 'DaemonConnectionException'), 'transient NODE_DOWN'],
    [answer(422, 'DaemonConnectionException'), 'transient NODE_DOWN'],
    [answer(504, 'DaemonConnectionException'), 'transient NODE_DOWN'],
    [answer(429, 'ThrottleRequestsException'), 'transient PANEL_RATE_LIMITED'],
    [answer(503, 'HttpException'), 'transient PANEL_DOWN'],
    [answer(500, 'QueryException'), 'transient PANEL_DOWN'],
    [answer(502), 'transient PANEL_DOWN'],
    [answer(302), 'transient PANEL_DOWN'],
    [answer(200), 'transient PANEL_DOWN'],
    [answer(404, 'NotFoundHttpException'), 'permanent PANEL_REFUSED'],
    [answer(400, 'DisplayException'), 'permanent PANEL_REFUSED'],
    [invalid(['email', 'email']), 'permanent PANEL_REFUSED'],
  ] as const) t.equal(codes(given), expected, `${given.status} ${given.errors[0]?.code ?? ''}`)
  t.notMatch(faultOf(answer(422, 'ValidationException', { source_field: 'email', rule: 'email' })).message, /secret/, 'does not quote the panel')
  const quote = 'POST /users {"password":"secret"}'
  t.equal(faultOf(answer(422, 'ValidationException', { source_field: 'environment.SERVER_JARFILE', rule: 'p_username' }, { code: quote, detail: quote, meta: { source_field: quote, rule: quote } })).message,
    'the panel refuses the call (422 ValidationException) environment.SERVER_JARFILE p_username', 'not even where it puts our words in place of its own')
  t.equal(faultOf({ ...answer(429), retryAfterMs: 7_000 }).retryAfterMs, 7_000)
})

t.test('what became of a create', async (t) => {
  for (const [given, expected] of [
    [answer(201), 'created'],
    [invalid(['allocation.default', 'exists']), 'port_taken'],
    [invalid(['user', 'exists']), 'user_gone'],
    [invalid(['allocation.default', 'exists'], ['user', 'exists']), 'user_gone'],
    [invalid(['external_id', 'unique']), 'exists'],
    [invalid(['external_id', 'unique'], ['allocation.default', 'exists']), 'exists'],
    [invalid(['environment.MAIN_FILE', 'required']), 'invalid'],
    [invalid(['environment.MAIN_FILE', 'required'], ['allocation.default', 'exists']), 'invalid'],
    [answer(500, 'DataValidationException'), 'raced'],
    [answer(500, 'UniqueConstraintViolationException'), 'raced'],
    [answer(504, 'DaemonConnectionException'), 'node_down'],
    [answer(404, 'DaemonConnectionException'), 'node_down'],
    [answer(422, 'DaemonConnectionException'), 'node_down'],
    [answer(504), 'lost'],
    [answer(500, 'QueryException'), 'lost'],
    [answer(400, 'DisplayException'), 'other'],
  ] as const) t.equal(createOutcomeOf(given), expected, `${given.status} ${given.errors.map(({ code, field }) => field ?? code).join()}`)
  t.equal(createOutcomeOf({ kind: 'lost', cause: undefined }), 'lost')
})

t.test('only the panel says that something is gone', async (t) => {
  t.ok(isGone(answer(404, 'NotFoundHttpException')))
  t.notOk(isGone(answer(404, 'DaemonConnectionException')), 'not a node')
  t.notOk(isGone(answer(404)), 'not a web server in front of it')
  const noRoute: Answer = { ...answer(404), errors: errorsOf({ errors: [{ code: 'NotFoundHttpException', status: '404', detail: 'The route x/api/application/servers/5 could not be found.' }] }) }
  t.notOk(isGone(noRoute), 'nor a panel that was asked at a wrong address')
  t.match(faultOf(noRoute), { kind: 'transient', code: 'PANEL_DOWN' })
})
