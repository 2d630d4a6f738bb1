import t from 'tap'
import { spawnSync } from 'node:child_process'

t.test('what a test starts is started as it stands', async (t) => {
  const { stdout } = spawnSync(process.execPath, ['-p', 'JSON.stringify(Object.keys(process.env))'], { env: { PATH: process.env['PATH'] }, encoding: 'utf8' })
  t.same((JSON.parse(stdout) as string[]).filter((name) => /NODE|TAP/.test(name)), [], 'with nothing of tap in its environment')
})
