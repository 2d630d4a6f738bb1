// scripts/rollout against a docker that only takes notes: what is replaced when, what is remembered, and what stops it. With a real one: docs/containers.md.
import t, { type Test } from 'tap'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../../..')
const SERVICES = ['alertmanager', 'bot', 'bot-2', 'claim-store', 'claim-store-2', 'gateway', 'gateway-2', 'grafana', 'nats', 'nats-2', 'nats-3', 'nats-exporter', 'notifier', 'provisioner', 'proxy', 'reaper', 'secrets', 'topology']
const FORWARD = ['nats', 'nats-2', 'nats-3', 'bot', 'bot-2', 'notifier', 'reaper', 'provisioner', 'claim-store', 'claim-store-2', 'gateway', 'gateway-2']
const BACK = ['nats-3', 'nats-2', 'nats', 'gateway-2', 'gateway', 'claim-store-2', 'claim-store', 'provisioner', 'reaper', 'notifier', 'bot-2', 'bot']

// Notes what it was asked; `$REFUSES` is the pattern of what it will not do.
const DOCKER = `#!/usr/bin/env bash
printf '%s\\n' "$* @$(sed -n 's/^KLAIM_TAG=//p' "$KLAIM_ENV_FILE")" >> "$NOTES"
case "$*" in *'config --services'*) printf '%s\\n' ${SERVICES.join(' ')} ;; esac
[ -z "\${REFUSES:-}" ] || [[ ! "$*" =~ $REFUSES ]]
`

/** A server with two versions of Klaim in its checkout, of which the first runs. */
function server (t: Test) {
  const directory = t.testdir({ klaim: { scripts: {} }, bin: { docker: DOCKER } })
  const [checkout, settings, notes] = [join(directory, 'klaim'), join(directory, 'production.env'), join(directory, 'notes')]
  chmodSync(join(directory, 'bin/docker'), 0o755)
  mkdirSync(join(checkout, 'scripts'), { recursive: true })
  copyFileSync(join(ROOT, 'scripts/rollout'), join(checkout, 'scripts/rollout'))
  const git = (...words: readonly string[]): string => execFileSync('git', ['-c', 'user.name=Klaim', '-c', 'user.email=klaim@klaim.invalid', ...words], { cwd: checkout, encoding: 'utf8' }).trim()
  git('init', '--quiet', '--initial-branch=main')
  const commit = (text: string): string => {
    writeFileSync(join(checkout, 'version'), text)
    git('add', '--all')
    git('commit', '--quiet', '--message', text)
    return `0.1.0-${git('rev-parse', '--short=12', 'HEAD')}`
  }
  const [old, now] = [commit('old'), commit('now')]
  git('checkout', '--quiet', '--detach', old.slice(6))
  writeFileSync(settings, `GROUP_ID=120363000000000001@g.us\nKLAIM_TAG=${old}\n`, { mode: 0o600 })
  return {
    old, now, checkout, settings,
    tags: () => [...readFileSync(settings, 'utf8').matchAll(/^KLAIM_TAG(?:_BEFORE)?=(.*)$/gm)].map(([, tag]) => tag),
    version: () => readFileSync(join(checkout, 'version'), 'utf8'),
    rollout: (word: string | undefined, env: Readonly<Record<string, string>> = {}) => {
      writeFileSync(notes, '')
      const { status, stderr } = spawnSync(join(checkout, 'scripts/rollout'), word === undefined ? [] : [word], {
        encoding: 'utf8', env: { PATH: `${join(directory, 'bin')}:${process.env['PATH']}`, KLAIM_ENV_FILE: settings, NOTES: notes, ...env },
      })
      const asked = readFileSync(notes, 'utf8').trim().split('\n').filter(Boolean)
      return { status, stderr, asked, replaced: asked.flatMap((line) => /--no-deps .*--wait-timeout 180 (\S+) /.exec(line)?.[1] ?? []) }
    },
  }
}

t.test('forward, and back', async (t) => {
  const { old, now, rollout, tags, version, settings } = server(t)
  const forward = rollout(now)
  t.match(forward, { status: 0, replaced: FORWARD }, 'nodes of NATS first, then who reads an event before who writes it')
  const at = (pattern: RegExp): number => forward.asked.findIndex((line) => pattern.test(line))
  t.match(forward.asked[at(/backup/)], new RegExp(`@${old}$`), 'the backup is the older version\'s')
  t.ok(at(/backup/) < at(/secrets/) && at(/nats-3/) < at(/topology/) && at(/topology/) < at(/ bot @/) && at(/ gateway-2 @/) < at(/doctor/), 'the streams come between NATS and the services, and the doctor last')
  t.match(forward.asked[at(/doctor/)], /--without disk-nats @/)
  t.same([tags(), version()], [[now, old], 'now'], 'the files of that version come with it')
  t.match(readFileSync(settings, 'utf8'), /^GROUP_ID=120363000000000001@g\.us$/m, 'and nothing else of the settings is touched')

  t.same([rollout(now).status, tags()], [0, [now, old]], 'the same once more does not forget what ran before it')

  const back = rollout(undefined, { SSH_ORIGINAL_COMMAND: 'back' })
  t.match(back, { status: 0, replaced: BACK }, 'back the other way round, asked for over ssh')
  t.notMatch(back.asked.join('\n'), /backup/, 'and at once')
  t.same([tags(), version()], [[old, now], 'old'])
})

t.test('what stops it', async (t) => {
  const { old, now, rollout, tags, version, checkout, settings } = server(t)
  for (const word of ['', 'latest', `${now};id`, `${now} x`, '0.1.0']) t.match(rollout(word), { status: 64, asked: [] }, `${word} is no tag`)
  t.match(rollout('back'), { status: 1, asked: [] }, 'nothing ran before')
  t.match(rollout('0.1.0-0123456789ab'), { status: 1, asked: [] }, 'there is no such commit')
  t.match(rollout(now, { REFUSES: 'image inspect|pull' }), { status: 1, stderr: /There is no image klaim:/ }, 'there is no such image')
  t.match(rollout(now, { REFUSES: 'backup' }), { status: 1, stderr: /nothing was touched/, replaced: [] })
  t.same([tags(), version()], [[old], 'old'], 'of all that nothing has changed')

  t.match(rollout(now, { REFUSES: 'timeout 180 reaper' }), { status: 1, replaced: FORWARD.slice(0, FORWARD.indexOf('reaper') + 1), stderr: /reaper is not healthy/ }, 'a container that is not healthy is the last that is replaced')
  t.match(rollout('back'), { status: 0, replaced: BACK }, 'and the way back is open')
  t.same(tags(), [old, now])

  writeFileSync(join(checkout, 'version'), 'changed')
  t.match(rollout(now), { status: 1, stderr: /holds changes/, replaced: [] })
  t.ok(existsSync(settings))
})
