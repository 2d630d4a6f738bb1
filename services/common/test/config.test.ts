import t from 'tap'
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Type } from 'typebox'
import { loadConfig } from '../config.ts'
import { readSecretFile } from '../secret-file.ts'

const Schema = Type.Object({
  ADDRESS: Type.String({ minLength: 1 }),
  SECRET: Type.String({ minLength: 8 }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 8080 }),
  GRACE_MS: Type.Integer({ minimum: 1_000 }),
  VERBOSE: Type.Boolean({ default: false }),
  EXTRA: Type.Optional(Type.String()),
})
const good = { ADDRESS: 'here', SECRET: 'long enough', GRACE_MS: '1000' }

t.test('a configuration', async (t) => {
  const config = loadConfig(Schema, { ...good, UNKNOWN: 'x' })
  t.same(config, { ADDRESS: 'here', SECRET: 'long enough', PORT: 8080, GRACE_MS: 1_000, VERBOSE: false }, 'is what was given, with defaults, and nothing else')
  t.ok(Object.isFrozen(config))
  t.same(loadConfig(Schema, { ...good, PORT: '', EXTRA: '' }), config, 'does not tell empty from absent')
  t.equal(loadConfig(Schema, { ...good, VERBOSE: 'true' }).VERBOSE, true)
})

t.test('all that is wrong is named at once, and no value is shown', async (t) => {
  let message = ''
  try { loadConfig(Schema, { SECRET: 'short', PORT: '70000', GRACE_MS: '', VERBOSE: 'yes' }) } catch (error) { message = (error as Error).message }
  for (const name of ['ADDRESS', 'SECRET', 'PORT', 'GRACE_MS', 'VERBOSE']) t.match(message, name)
  t.notMatch(message, /short|70000|yes/)
  for (const number of ['1.7', '1e3', 'x', ' ', '0x10']) t.throws(() => loadConfig(Schema, { ...good, GRACE_MS: number }), /GRACE_MS/, `'${number}' is no whole number`)
})

t.test('a secret may come from a file that only its owner can read', async (t) => {
  const path = join(t.testdir(), 'secret')
  writeFileSync(path, 'from the file\n', { mode: 0o600 })
  const { SECRET: _, ...rest } = good
  t.equal(loadConfig(Schema, { ...rest, SECRET_FILE: path }).SECRET, 'from the file')
  t.throws(() => loadConfig(Schema, { ...good, SECRET_FILE: path }), /SECRET and SECRET_FILE are both set/)
  chmodSync(path, 0o640)
  t.throws(() => loadConfig(Schema, { ...rest, SECRET_FILE: path }), new RegExp(`chmod 600 ${path}`), 'and the command that mends it is said')
  t.throws(() => loadConfig(Schema, { ...rest, SECRET_FILE: `${path}.none` }), /SECRET_FILE cannot be read \(ENOENT\)/)
})

t.test('a file that is not surely ours alone is refused, and why is said', async (t) => {
  const directory = t.testdir()
  const at = (name: string): string => join(directory, name)
  const { SECRET: _, ...rest } = good
  const refusal = (path: string): string => {
    try { loadConfig(Schema, { ...rest, SECRET_FILE: path }) } catch (error) { return (error as Error).message }
    return 'none'
  }
  writeFileSync(at('secret'), 'long enough', { mode: 0o600 })
  mkdirSync(at('directory'), { mode: 0o700 })
  symlinkSync(at('secret'), at('link'))
  writeFileSync(at('empty'), '\n', { mode: 0o600 })
  writeFileSync(at('large'), 'x'.repeat(64 * 1024 + 1), { mode: 0o600 })
  t.match(refusal(at('directory')), `SECRET_FILE is no ordinary file: ${at('directory')}`)
  t.match(refusal(at('link')), `SECRET_FILE is a symbolic link, not a file: ${at('link')}`)
  t.match(refusal(at('empty')), `SECRET_FILE is empty: ${at('empty')}`)
  t.match(refusal(at('large')), 'SECRET_FILE is larger than 64 KiB')
  t.notMatch(refusal(at('empty')), /SECRET is missing/, 'one reason is enough')
  for (const mode of [0o604, 0o660, 0o620, 0o601]) {
    chmodSync(at('secret'), mode)
    t.match(refusal(at('secret')), `chmod 600 ${at('secret')}`, `mode ${mode.toString(8)}`)
  }
})

t.test('a file of another user', async (t) => {
  const path = join(t.testdir(), 'secret')
  writeFileSync(path, 'long enough', { mode: 0o600 })
  const me = process.getuid?.() ?? 0
  const somebody = 12_345
  // Only root can give a file away; others look as somebody who is not its owner.
  if (me === 0) chownSync(path, somebody, -1)
  const reader = me === 0 ? 0 : me + 1
  t.same(readSecretFile(path, reader), { problem: `belongs to another user: chown ${reader} ${path}` })
  t.same(readSecretFile(path, me === 0 ? somebody : me), { text: 'long enough' }, 'is read by that user')
})
