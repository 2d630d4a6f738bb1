import t from 'tap'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Type } from 'typebox'
import { loadConfig } from '../config.ts'

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
