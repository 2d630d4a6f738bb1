/** An outcome as HTTP. Clients that do not ask for JSON get redirects and HTML pages where they expect errors. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { phpJson, prettyJson } from './json.ts'
import type { PanelError } from './errors.ts'
import type { Knobs } from './knobs.ts'
import type { Outcome } from './kernel.ts'

const TRACE_LINES = 60

export function createResponder (knobs: Knobs) {
  return (request: IncomingMessage, response: ServerResponse, { status, body, error, headers }: Outcome, origin: string): void => {
    const common = {
      'cache-control': 'no-cache, private',
      'access-control-allow-origin': '',
      'access-control-allow-credentials': 'true',
      ...headers
    }
    if (error !== undefined && !wantsJson(request.headers.accept)) {
      if (error.html === 'page') send(status, { ...common, 'content-type': 'text/html; charset=UTF-8' }, errorPage(error))
      else {
        const location = error.html === 'login' ? `${origin}/auth/login` : origin
        send(302, { ...common, location, 'content-type': 'text/html; charset=UTF-8' }, redirectPage(location))
      }
      return
    }
    if (error !== undefined) {
      const shown = { errors: knobs.debug ? error.entries.map(entry => ({ ...entry, source: { line: 42, file: '/app/Exceptions/Handler.php' }, meta: { ...entry.meta, trace } })) : error.entries }
      send(status, { ...common, 'content-type': 'application/json' }, error.pretty ? prettyJson(shown) : phpJson(shown))
    } else if (body === undefined) send(status, common, undefined)
    else send(status, { ...common, 'content-type': 'application/json' }, phpJson(body))

    function send (status: number, headers: Record<string, string>, text: string | undefined): void {
      response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : text)
    }
  }
}

const trace = Array.from({ length: TRACE_LINES }, (_, line) => `#${line} /app/vendor/laravel/framework/src/Illuminate/Pipeline/Pipeline.php(${line}): {closure}()`)

/** Only the first type that is asked for counts. */
const wantsJson = (accept: string | undefined) => /[/+]json/i.test((accept ?? '').split(',')[0]!)

const errorPage = ({ status, message }: PanelError) => `<!DOCTYPE html>
<html lang="en">
    <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${status}</title>
    </head>
    <body>${status === 429 ? 'Too Many Requests' : escapeHtml(message)}</body>
</html>
`

const redirectPage = (location: string) => `<!DOCTYPE html>
<html>
    <head>
        <meta charset="UTF-8" />
        <meta http-equiv="refresh" content="0;url='${escapeHtml(location)}'" />

        <title>Redirecting to ${escapeHtml(location)}</title>
    </head>
    <body>
        Redirecting to <a href="${escapeHtml(location)}">${escapeHtml(location)}</a>.
    </body>
</html>
`

export const escapeHtml = (text: string) => text.replaceAll(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)
