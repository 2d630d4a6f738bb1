// The exported claim page, read once: a deployment that replaces the files while this process runs cannot mix two builds.
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Language } from '../../contracts/ids.ts'

export interface SiteFile {
  readonly type: string
  readonly etag: string
  readonly cacheControl: string
  readonly body: Buffer
  /** Absent where compressing gains nothing. */
  readonly gzip?: Buffer
  readonly br?: Buffer
  /** Of a page: with the hash of each of its inline scripts, so that no other can run. */
  readonly contentSecurityPolicy?: string
}

export interface Site {
  readonly pages: Readonly<Record<Language, SiteFile>>
  /** Path from the root of the site, without a leading slash. */
  readonly files: ReadonlyMap<string, SiteFile>
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.png': 'image/png', '.woff2': 'font/woff2',
}
const COMPRESSED = new Set(['.html', '.js', '.css', '.svg'])
/** Names below this hold a hash of what the file says. */
const HASHED = '_next/static/'
const FILES_MAX = 500
const BROTLI_QUALITY = 9

/** Undefined where there is no exported page at `directory`. */
export function loadSite (directory: string): Site | undefined {
  const [id, en] = [join(directory, 'index.html'), join(directory, 'en/index.html')]
  if (!existsSync(id) || !existsSync(en)) return undefined
  const paths = globSync(['_next/static/**/*', '*.{svg,png}'], { cwd: directory }).filter((path) => TYPES[extname(path)] !== undefined)
  if (paths.length > FILES_MAX) throw new Error(`${directory} holds more files than a claim page has`)
  return {
    pages: { id: fileOf(id, 'no-cache'), en: fileOf(en, 'no-cache') },
    files: new Map(paths.map((path) => [path, fileOf(join(directory, path), path.startsWith(HASHED) ? 'public, max-age=31536000, immutable' : 'public, max-age=3600')])),
  }
}

function fileOf (path: string, cacheControl: string): SiteFile {
  const body = readFileSync(path)
  const extension = extname(path)
  return {
    type: TYPES[extension] ?? 'application/octet-stream', cacheControl, body,
    etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
    ...(COMPRESSED.has(extension) ? {
      gzip: gzipSync(body, { level: 9 }),
      br: brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: body.length } }),
    } : {}),
    ...(extension === '.html' ? { contentSecurityPolicy: policyOf(body.toString('utf8')) } : {}),
  }
}

const INLINE_SCRIPT = /<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g

/** Everything from here and nothing from elsewhere; of inline scripts those that stand in this page. */
export function policyOf (page: string): string {
  const hashes = new Set([...page.matchAll(INLINE_SCRIPT)].map(([, script = '']) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`))
  return [
    "default-src 'none'", ['script-src', "'self'", ...hashes].join(' '), "style-src 'self'", "img-src 'self'", "connect-src 'self'",
    "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
  ].join('; ')
}
