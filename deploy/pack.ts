// Packs the packages that programs need: `node deploy/pack.ts DIRECTORY PROGRAM…` follows what these programs of DIRECTORY import and makes DIRECTORY/node_modules,
// in which each package is one file that has what this checkout's package has. The programs stay as they are, and run as they were tested. A service then loads
// 150 files instead of 900 to 1,700: each costs memory, 12 to 20 MB for all. What packages share is in node_modules/.packed, and of every package that is in there
// its package.json and its licence stay, for who reads and who scans them.
import { build, type Plugin } from 'esbuild'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = resolve(import.meta.dirname, '..')
const SHARED = '.packed'
/** Of Node 24.21.0: under this name a namespace has what a CommonJS module exports. */
const COMMONJS = 'module.exports'

interface Manifest { readonly peerDependencies?: Record<string, string>, readonly [field: string]: unknown }
const manifestOf = (name: string): Manifest => JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as Manifest

/** `typebox/value` is `value` of `typebox`. */
function partsOf (specifier: string): { name: string, part: string } {
  const [, name = '', part = 'index'] = /^((?:@[^/]+\/)?[^/]+)(?:\/(.+))?$/.exec(specifier) ?? []
  return { name, part: part.replace(/\.js$/, '') }
}
/** Where it is packed, without its ending. */
const placeOf = (specifier: string): string => Object.values(partsOf(specifier)).join('/')

/** What programs of a directory import of packages, as they name it. Types are no import, as for Node. */
async function importedBy (directory: string, programs: readonly string[]): Promise<string[]> {
  const found = new Set<string>()
  const find: Plugin = {
    name: 'find',
    setup: (bundle) => {
      bundle.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === 'entry-point') return undefined
        if (!path.startsWith('node:')) found.add(path)
        return { path, external: true }
      })
    },
  }
  await build({
    absWorkingDir: directory, entryPoints: programs.map((path) => resolve(directory, path)), bundle: true, write: false, outdir: SHARED, format: 'esm', platform: 'node', logLevel: 'error', plugins: [find],
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  return [...found].toSorted()
}

/** A module that has what the package has; for CommonJS under the names that Node finds. */
async function moduleOf (specifier: string): Promise<string> {
  const names = Object.keys(await import(specifier) as object)
  if (!names.includes(COMMONJS)) return `export * from '${specifier}'\n${names.includes('default') ? `export { default } from '${specifier}'` : ''}`
  const own = names.filter((name) => name !== 'default' && name !== COMMONJS)
  return `const all = require('${specifier}')\nexport default all\n${own.map((name, n) => `const name${n} = all[${JSON.stringify(name)}]`).join('\n')}\nexport { ${own.map((name, n) => `name${n} as ${JSON.stringify(name)}`).join(', ')} }`
}

const modules: Plugin = {
  name: 'modules',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^packed:/ }, ({ path }) => ({ path: path.slice('packed:'.length), namespace: 'packed' }))
    bundle.onLoad({ filter: /.*/, namespace: 'packed' }, async ({ path }) => ({ contents: await moduleOf(path), resolveDir: ROOT, loader: 'js' }))
  },
}

/** Asks for a module by name in a text that it evaluates, so that packers do not see it (@protobufjs/inquire 1.1.0): with `long` missing numbers above 2^53 would come out wrong. */
const inquire: Plugin = {
  name: 'inquire',
  setup: (bundle) => {
    bundle.onLoad({ filter: /\/@protobufjs\/inquire\/index\.js$/ }, () => ({ contents: "module.exports = (name) => name === 'long' ? require('long') : process.getBuiltinModule(name) ?? null" }))
  },
}

/** WebAssembly is written in this package's source, twice, and all that it is made from stays in memory: 5 MB (whatsapp-rust-bridge 0.5.4). It becomes files that are read. */
const webAssembly = (shared: string): Plugin => ({
  name: 'web-assembly',
  setup: (bundle) => {
    bundle.onLoad({ filter: /\/whatsapp-rust-bridge\/dist\/index\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8')
        .replaceAll(/"(AGFzbQ[A-Za-z0-9+/=]+)"/g, (_, base64: string) => {
          const file = `${createHash('sha256').update(base64).digest('hex').slice(0, 8)}.wasm`
          mkdirSync(shared, { recursive: true })
          writeFileSync(join(shared, file), base64, { encoding: 'base64' })
          return JSON.stringify(`/${SHARED}/${file}`)
        })
        .replace('function base64ToUint8Array(base64) {', "function base64ToUint8Array(base64) { return process.getBuiltinModule('node:fs').readFileSync(__dirname.replace(/(?<=.*\\/node_modules)\\/.*/s, '') + base64);"),
    }))
  },
})

/** Throws where a package is not for production, or does not have what it had. */
export async function pack (directory: string, programs: readonly string[]): Promise<void> {
  const to = join(directory, 'node_modules')
  const specifiers = await importedBy(directory, programs)
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, { dev?: boolean }> }
  const forDevelopers = Object.keys(packages).filter((path) => packages[path]?.dev === true && path.lastIndexOf('node_modules/') === 0).map((path) => path.slice('node_modules/'.length))
  const wrong = specifiers.filter((specifier) => forDevelopers.includes(partsOf(specifier).name))
  if (wrong.length > 0) throw new Error(`for developers alone: ${wrong.join(', ')}`)
  const { metafile } = await build({
    absWorkingDir: ROOT, outdir: to, bundle: true, splitting: true, chunkNames: `${SHARED}/[hash]`, format: 'esm', platform: 'node', target: `node${process.versions.node}`, metafile: true, logLevel: 'error',
    entryPoints: specifiers.map((specifier) => ({ in: `packed:${specifier}`, out: placeOf(specifier) })),
    // Names stay: they are in stacks, and some packages ask for them.
    minifyWhitespace: true, minifySyntax: true, legalComments: 'none',
    // What packages do without where it is missing, as it is in production: Baileys without what makes pictures and previews, others without what is for developers.
    external: [...Object.keys(manifestOf('@whiskeysockets/baileys').peerDependencies ?? {}), ...forDevelopers],
    banner: { js: "import{createRequire as toRequire}from'node:module';const require=toRequire(import.meta.url),__filename=import.meta.filename,__dirname=import.meta.dirname;" },
    plugins: [modules, inquire, webAssembly(join(to, SHARED))],
  })
  const inside = new Set(Object.keys(metafile.inputs).map((path) => /^node_modules\/((?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter((name) => name !== undefined))
  for (const name of inside) {
    mkdirSync(join(to, name), { recursive: true })
    for (const file of readdirSync(join(ROOT, 'node_modules', name))) if (/^(package\.json$|licen[cs]e|notice|copying)/i.test(file)) cpSync(join(ROOT, 'node_modules', name, file), join(to, name, file))
  }
  for (const [name, own] of Map.groupBy(specifiers, (specifier) => partsOf(specifier).name)) {
    const { main: _main, module: _module, browser: _browser, types: _types, ...manifest } = manifestOf(name)
    const exports = Object.fromEntries(own.map((specifier) => [`.${specifier.slice(name.length)}`, `./${partsOf(specifier).part}.js`]))
    writeFileSync(join(to, name, 'package.json'), `${JSON.stringify({ ...manifest, type: 'module', exports }, null, 2)}\n`)
  }
  for (const specifier of specifiers) {
    const names = Object.keys(await import(pathToFileURL(join(to, `${placeOf(specifier)}.js`)).href) as object)
    const lost = Object.keys(await import(specifier) as object).filter((name) => name !== COMMONJS && !names.includes(name))
    if (lost.length > 0) throw new Error(`${specifier} lost ${lost.join(', ')}`)
  }
}

if (import.meta.main) {
  const [directory, ...programs] = process.argv.slice(2)
  if (directory === undefined || programs.length === 0) throw new Error('usage: node deploy/pack.ts DIRECTORY PROGRAM…')
  await pack(resolve(directory), programs)
}
