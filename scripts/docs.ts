// Writes docs/asyncapi.json, docs/openapi.json, docs/metrics.md and Grafana's dashboards. With --check it writes nothing and ends with 1 where one of them is not what it would write.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { asyncApiDocument } from '../contracts/async-api-document.ts'
import { DASHBOARDS } from '../deploy/grafana/dashboards.ts'
import { openApiDocument } from '../services/gateway/open-api-document.ts'
import { metricsDocument } from './metrics-document.ts'

const root = join(import.meta.dirname, '..')

/** Path below the repository → text of the document. */
export function documents (): ReadonlyMap<string, string> {
  const text = (document: object): string => `${JSON.stringify(document, null, 2)}\n`
  return new Map([['docs/asyncapi.json', text(asyncApiDocument())], ['docs/openapi.json', text(openApiDocument())], ['docs/metrics.md', metricsDocument()], ...[...DASHBOARDS].map(([path, dashboard]) => [path, text(dashboard)] as const)])
}

function committed (path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8')
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  const stale = [...documents()].filter(([path, text]) => committed(path) !== text)
  if (process.argv.includes('--check')) {
    for (const [path] of stale) console.log(`${path} is not up to date; run scripts/docs.`)
    process.exitCode = stale.length === 0 ? 0 : 1
  } else {
    for (const [path, text] of stale) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
      console.log(`Wrote ${path}.`)
    }
  }
}
