import t from 'tap'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createBom, shippedBom, type Bom } from '../../scripts/sbom.ts'

interface Locked { version: string, license?: string, integrity?: string, dev?: boolean }

const ROOT = resolve(import.meta.dirname, '../..')
const locked = Object.entries((JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }).packages)
  .filter(([path, { dev }]) => path !== '' && dev !== true).map(([path, each]) => ({ ...each, name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length) }))
const bom = createBom()

t.test('the bill of materials', async (t) => {
  const problems = await new Validation.JsonStrictValidator(Spec.Version.v1dot5).validate(JSON.stringify(bom))
  t.same([bom.specVersion, problems], ['1.5', null], 'is CycloneDX by its schema')
  t.ok(locked.length > 100, 'there is something to look for')
  const said = new Map(bom.components.map((component) => [`${component.name}@${component.version}`, component]))
  t.same([...said.keys()].toSorted(), [...new Set(locked.map(({ name, version }) => `${name}@${version}`))].toSorted(), 'names every production package of the lockfile and nothing else')
  const hashOf = (integrity = ''): string => Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex')
  for (const { name, version, integrity } of locked) {
    const { purl, hashes, licenses } = said.get(`${name}@${version}`) ?? {}
    const isWhole = purl === `pkg:npm/${name.replace('@', '%40')}@${version}` && hashes?.some(({ alg, content }) => alg === 'SHA-512' && content === hashOf(integrity)) && licenses?.length === 1
    if (isWhole !== true) t.fail(`${name}@${version} without its address, hash or licence`)
  }
  t.same(JSON.stringify(createBom()), JSON.stringify(bom), 'is the same every time')
  t.notMatch(JSON.stringify(bom.metadata), /timestamp|\d+\.\d+\.\d+"\}\]/, 'whenever and by whichever npm it was written')
})

t.test('what is not shipped', async (t) => {
  const component = (name: string, isDevelopment: boolean) => ({ 'bom-ref': name, name, version: '1.0.0', scope: 'required', purl: '', properties: isDevelopment ? [{ name: 'cdx:npm:package:development', value: 'true' }] : [] })
  const { components, dependencies, metadata, serialNumber } = shippedBom({
    serialNumber: 'urn:uuid:1', specVersion: '1.5', metadata: { timestamp: 'now', tools: [{ vendor: 'npm', name: 'cli', version: '11.0.0' }], component: component('a-folder', false) },
    components: [component('shipped', false), component('tool', true)],
    dependencies: [{ ref: 'a-folder', dependsOn: ['shipped', 'tool'] }, { ref: 'tool', dependsOn: ['shipped'] }, { ref: 'shipped', dependsOn: [] }],
  }, 'klaim')
  t.same(components.map(({ name }) => name), ['shipped'])
  t.same(dependencies, [{ ref: 'a-folder', dependsOn: ['shipped'] }, { ref: 'shipped', dependsOn: [] }], 'is not depended on either')
  t.match([metadata.component.name, metadata.timestamp, metadata.tools, serialNumber], ['klaim', undefined, [{ vendor: 'npm', name: 'cli' }], undefined])
})

/**
 * Licences under which a work may become part of one under GPL-3.0, by the list of the Free Software Foundation
 * (gnu.org/licenses/license-list). libsignal's GPL-3.0 says nothing of later versions: what is shipped with it is under version 3.
 */
const COMPATIBLE = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'GPL-3.0', 'ISC', 'LGPL-3.0-or-later', 'MIT', 'Unlicense'])
const isCompatible = (expression: string): boolean => expression.replace(/^\((.*)\)$/, '$1').split(' AND ').every((part) => part.split(' OR ').some((id) => COMPATIBLE.has(id)))

t.test('every licence goes with GPL-3.0', async (t) => {
  const licenceOf = ({ licenses }: Bom['components'][number]): string => licenses?.map(({ license, expression }) => expression ?? license?.id ?? license?.name ?? '').join(' AND ') ?? ''
  t.same(bom.components.filter((each) => !isCompatible(licenceOf(each))).map((each) => `${each.name}: ${licenceOf(each)}`), [])
  t.same(['MIT', '(MIT OR SSPL-1.0)', 'MIT AND SSPL-1.0', 'SSPL-1.0', 'UNLICENSED', ''].map(isCompatible), [true, true, false, false, false, false])
})
