import t from 'tap'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, { version?: string, integrity?: string, hasInstallScript?: boolean }> }

/** Packages that want to run a program while they are installed, and why it does no harm that they may not. */
const DO_NOT_NEED_THEIRS: Readonly<Record<string, string>> = {
  '@scarf/scarf': 'it tells its makers who installs it, and does nothing else',
  '@whiskeysockets/baileys': 'it looks whether Node is 20 or newer; ours is 24',
  'cpu-features': 'it builds what tells ssh2 of the processor; ssh2 does without',
  esbuild: 'it looks whether its program is there, and puts it in the place of a script that only starts it',
  protobufjs: 'it warns of version numbers that are written in a way it does not like',
  ssh2: 'it builds a faster cipher; by ssh testcontainers reaches engines elsewhere, and the tests use the one here',
}

t.test('packages run nothing while they are installed', async (t) => {
  t.equal(execFileSync('npm', ['config', 'get', 'ignore-scripts'], { cwd: ROOT, encoding: 'utf8', env: { PATH: process.env['PATH'] } }).trim(), 'true', 'by .npmrc')
  const wanting = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
  t.same([...new Set(wanting)].toSorted(), Object.keys(DO_NOT_NEED_THEIRS).toSorted(), 'and those that want to are known, with the reason why they need not')
})

t.test('packages are what they were when they were chosen', async (t) => {
  t.ok(Object.keys(packages).length > 100, 'there is something to look at')
  t.same(Object.entries(packages).filter(([path, { integrity }]) => path !== '' && integrity?.startsWith('sha512-') !== true).map(([path]) => path), [], 'each has its hash in the lockfile')
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, Record<string, string>>
  t.same(Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies }).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)), [], 'and those that are named have one version')
})
