// The exported claim page as Vercel takes what is built already (its Build Output API, version 3), with the headers that the gateway sends with its own.
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { policyOf } from '../services/gateway/site.ts'

/** As Helmet has them for the gateway (services/gateway/security-headers.ts). */
const HEADERS = {
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const

interface Route { readonly src?: string, readonly headers?: Readonly<Record<string, string>>, readonly continue?: true, readonly handle?: 'filesystem', readonly dest?: string, readonly status?: number }

/** Writes `directory`/static and `directory`/config.json from the export at `site`, whose page asks the gateway at `gatewayOrigin`. Throws where that is no origin of https, or where nothing was exported. */
export function writePageOutput (site: string, directory: string, gatewayOrigin: string): void {
  if (!URL.canParse(gatewayOrigin) || new URL(gatewayOrigin).origin !== gatewayOrigin || !gatewayOrigin.startsWith('https://')) throw new Error('the gateway\'s address must be an origin like https://klaim.example.org')
  const pages = globSync('**/*.html', { cwd: site }).toSorted()
  if (!pages.includes('index.html')) throw new Error(`there is no exported page at ${site}`)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  // Marks of the build stay behind.
  cpSync(site, join(directory, 'static'), { recursive: true, filter: (path) => !/\/\.[^/]*$/.test(path) })
  const routes: Route[] = [
    { src: '/.*', headers: HEADERS, continue: true },
    { src: '/_next/static/.*', headers: { 'cache-control': 'public, max-age=31536000, immutable' }, continue: true },
    // The form of a page without JavaScript is answered by the gateway alone.
    ...pages.map((page): Route => ({
      src: `/${page.replace(/index\.html$/, '').replaceAll('.', '\\.')}`, continue: true,
      headers: { 'content-security-policy': policyOf(readFileSync(join(site, page), 'utf8')).replace("connect-src 'self'", `connect-src ${gatewayOrigin}`).replace("form-action 'self'", `form-action ${gatewayOrigin}`) },
    })),
    { src: '/(en)', headers: { location: '/$1/' }, status: 308 },
    { handle: 'filesystem' },
    { src: '/.*', dest: '/404.html', status: 404 },
  ]
  writeFileSync(join(directory, 'config.json'), `${JSON.stringify({ version: 3, routes }, null, 2)}\n`)
}

if (import.meta.main) {
  const [site = '', directory = '', gatewayOrigin = ''] = process.argv.slice(2)
  writePageOutput(site, directory, gatewayOrigin)
}
