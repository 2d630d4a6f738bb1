// scripts/sbom: npm's own bill of materials, less what is not shipped and less what would differ from one run to the next.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const root = join(import.meta.dirname, '..')
const OUTPUT_BYTES_MAX = 32 * 1024 * 1024

interface Component {
  readonly 'bom-ref': string
  readonly name: string
  readonly version: string
  readonly scope: string
  readonly purl: string
  readonly properties: ReadonlyArray<{ name: string, value: string }>
  readonly hashes?: ReadonlyArray<{ alg: string, content: string }>
  readonly licenses?: ReadonlyArray<{ license?: { id?: string, name?: string }, expression?: string }>
}
/** The part of CycloneDX that npm writes. */
export interface Bom {
  readonly serialNumber?: string
  readonly specVersion: string
  readonly metadata: { readonly timestamp?: string, readonly tools: ReadonlyArray<{ vendor: string, name: string, version?: string }>, readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: ReadonlyArray<{ ref: string, dependsOn: readonly string[] }>
}

/** `npm sbom --omit=dev` also omits what is shared with a development package (npm 11.19, npm/cli#7909), so its mark is read instead. */
const isShipped = ({ properties }: Component): boolean => !properties.some(({ name, value }) => name === 'cdx:npm:package:development' && value === 'true')

/** The serial number, the time, npm's version and the name of the folder say nothing about Klaim. */
export function shippedBom ({ serialNumber: _serialNumber, metadata: { timestamp: _timestamp, tools, component, ...metadata }, components, dependencies, ...bom }: Bom, name: string): Bom {
  const shipped = components.filter(isShipped)
  const refs = new Set([component['bom-ref'], ...shipped.map((each) => each['bom-ref'])])
  return {
    ...bom,
    metadata: { ...metadata, tools: tools.map(({ version: _version, ...tool }) => tool), component: { ...component, name } },
    components: shipped,
    dependencies: dependencies.filter(({ ref }) => refs.has(ref)).map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => refs.has(each)) })),
  }
}

export function createBom (): Bom {
  const written = execFileSync('npm', ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'], { cwd: root, encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX, stdio: ['ignore', 'pipe', 'inherit'] })
  return shippedBom(JSON.parse(written) as Bom, 'klaim')
}

if (import.meta.main) {
  const file = resolve(process.argv[2] ?? join(root, '.cache/klaim.cdx.json'))
  const bom = createBom()
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(bom, null, 2)}\n`)
  console.log(`Wrote ${file}: ${bom.components.length} packages.`)
}
