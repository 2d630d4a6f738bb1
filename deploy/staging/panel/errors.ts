/**
 * What the panel says when it says no.
 * Shapes and texts as measured on panel 1.11.8: HTTP exceptions come pretty-printed, all others on one line.
 */
export interface ErrorEntry {
  code: string
  status: string
  detail: string
  meta?: Record<string, unknown>
}

/** `html` says what a client that does not ask for JSON gets: the site root, the login page, or an HTML error page. */
export class PanelError extends Error {
  readonly status: number
  readonly entries: ErrorEntry[]
  readonly pretty: boolean
  readonly html: 'root' | 'login' | 'page'

  constructor (status: number, entries: ErrorEntry[], { pretty = true, html = 'page' as PanelError['html'] } = {}) {
    super(entries[0]?.detail ?? 'error')
    this.status = status
    this.entries = entries
    this.pretty = pretty
    this.html = html
  }

  get code (): string {
    return this.entries[0]?.code ?? 'Error'
  }
}

const entry = (code: string, status: number, detail: string): ErrorEntry => ({ code, status: String(status), detail })
const http = (code: string, status: number, detail: string) => new PanelError(status, [entry(code, status, detail)])
const display = (code: string, status: number, detail: string) =>
  new PanelError(status, [entry(code, status, detail)], { pretty: false, html: 'root' })

export const unauthenticated = () =>
  new PanelError(401, [entry('AuthenticationException', 401, 'Unauthenticated.')], { pretty: false, html: 'login' })

export const forbidden = (detail = 'This action is unauthorized.') => http('AccessDeniedHttpException', 403, detail)
export const notFound = () => http('NotFoundHttpException', 404, 'The requested resource could not be found on the server.')
export const noRoute = (path: string) => http('NotFoundHttpException', 404, `The route ${path} could not be found.`)
export const wrongMethod = (method: string, path: string, supported: string[]) => http('MethodNotAllowedHttpException', 405,
  `The ${method} method is not supported for route ${path}. Supported methods: ${supported.join(', ')}.`)
export const badRequest = (detail: string) => http('BadRequestHttpException', 400, detail)
export const malformedJson = () => badRequest('The JSON data passed in the request appears to be malformed: Syntax error')
export const twoFactorRequired = () => http('TwoFactorAuthRequiredException', 400,
  'Two-factor authentication is required on this account in order to access this endpoint.')
export const tooManyAttempts = () => http('ThrottleRequestsException', 429, 'Too Many Attempts.')
export const maintenance = () => http('HttpException', 503, 'Service Unavailable')
export const conflict = (detail: string) => http('ConflictHttpException', 409, detail)
export const invalidFilter = (asked: string[], allowed: string[]) => http('InvalidFilterQuery', 400,
  `Requested filter(s) \`${asked.join(', ')}\` are not allowed. Allowed filter(s) are \`${allowed.join(', ')}\`.`)
export const invalidSort = (asked: string[], allowed: string[]) => http('InvalidSortQuery', 400,
  `Requested sort(s) \`${asked.join(', ')}\` is not allowed. Allowed sort(s) are \`${allowed.join(', ')}\`.`)

/** An exception nobody planned for: the class name is all that gets out. */
export const unexpected = (code: string) =>
  http(code, 500, 'An unexpected error was encountered while processing this request, please try again.')

export const displayException = (detail: string) => display('DisplayException', 400, detail)
export const serviceException = (code: string, detail: string) => display(code, 400, detail)

export const daemonUnreachable = () => display('DaemonConnectionException', 504,
  'Could not establish a connection to the machine running this server. Please try again.')

/** Wings answered with an error: its status is passed through, except that anything below 400 becomes 502. */
export function daemonAnswered (answer: number, detail: string, requestId: string): PanelError {
  const status = answer < 400 ? 502 : answer
  return display('DaemonConnectionException', status, status >= 500
    ? `There was an error while communicating with the machine running this server. This error has been logged, please try again. (code: ${status}) (request_id: ${requestId})`
    : `An error occurred on the remote host: ${detail}. (request id: ${requestId})`)
}

export interface RuleFailure { field: string, rule: string, message: string }

export const invalid = (failures: RuleFailure[]) => new PanelError(422, failures.map(({ field, rule, message }) => ({
  ...entry('ValidationException', 422, message), meta: { source_field: field, rule }
})), { pretty: false, html: 'root' })
