// Who carries out the commands of RUNBOOK.md: runbook-commands.test.ts does, or who is named here. A command that is new there is run there, too; what
// reads like a command of a program that nobody knows makes runbook.test.ts fail.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { codeIn, ROOT, runbook, type Command } from './runbook.ts'

/** Whose steps another test carries out: services/test/<name>.test.ts. Of those that it walks none is left out: procedures.ts sees to that. */
export const PROCEDURES: Readonly<Record<string, string>> = {
  'First installation': 'first-installation',
  'The canary': 'canary',
  'The panel is down for hours': 'runbook-panel',
  'A node of the panel is lost': 'runbook-panel',
  'The ports are used up': 'runbook-panel',
  'A server was deleted by mistake': 'runbook-panel',
  'Link the bot': 'runbook-whatsapp',
  'The number is banned': 'runbook-whatsapp',
  'Many members leave at once': 'runbook-whatsapp',
  'The group is another one': 'runbook-whatsapp',
  'A node of NATS is lost': 'nats-node',
  'Rotate the internal secret': 'rotation',
  'Rotate the alerts\' secret': 'rotation',
  'Rotate the webhook\'s secret': 'rotation',
  'Rotate the login key': 'rotation',
  'Rotate the session key': 'rotation',
  'Rotate a service\'s key on NATS': 'rotation',
  'Rotate the key of the ledger': 'rotation',
  'Replace the panel\'s key': 'rotation',
  'Re-key the members': 'rekey',
  'NATS\' store is lost': 'restore',
  'The ledger is lost, and there is only the book': 'reseed',
  'From one node of NATS to three': 'cluster-move',
}

/** What is said for containers takes Docker: `scripts/compose-journey` rehearses it, and deploy/containers/test looks at its parts. */
export const CONTAINERS: readonly string[] = ['With containers', 'Set Klaim up in containers', 'The commands of this runbook in containers', 'Update containers', 'Go back to the images before', 'What dies comes back', 'Rehearse an update or a failure']

/** What another test carries out outside of a procedure, and the words by which it does. */
export const ELSEWHERE: ReadonlyArray<{ readonly command: string, readonly file: string, readonly words: string }> = [
  // By scripts/test, before any test of the page; after a re-keying; and where a registry is asked, one of the test's own.
  { command: 'npm run build:web', file: 'scripts/lib/setup.sh', words: 'npm run build:web)' },
  { command: 'scripts/rekey-members --confirm', file: 'services/test/rekey.test.ts', words: 'rekey-members --confirm`/' },
  { command: 'CANARY_NUMBER_FILE=/etc/klaim/canary_number HEALTH_PORT=9207 scripts/klaim canary --every 1h', file: 'services/test/canary.test.ts', words: "going.replace('--every 1h', '--every 5s')" },
  { command: 'curl -s http://127.0.0.1:9207/metrics | grep \'^klaim_canary\'', file: 'services/test/canary.test.ts', words: 'does(t, 5, ' },
  { command: 'scripts/audit', file: 'services/test/audit.test.ts', words: "'scripts/audit.ts'" },
]

/** What takes a person's hands, or root of another machine. */
export const BY_HAND: ReadonlyArray<{ readonly command: string, readonly why: string }> = [
  { command: 'systemctl status nginx php8.3-fpm mariadb redis-server pteroq', why: 'the panel\'s machine is another' },
  { command: 'systemctl status wings docker', why: 'a node of the panel is another machine' },
  { command: 'journalctl -u wings -n 50', why: 'a node of the panel is another machine' },
  { command: 'chown -R pterodactyl:pterodactyl /var/lib/pterodactyl/volumes/<server>', why: 'a node of the panel is another machine, and there it takes root' },
  { command: 'git checkout <tag>', why: 'it would change what is being tested' },
  { command: 'timedatectl', why: 'the clock of a machine is the business of its systemd' },
  { command: 'dmesg | grep -i -E \'killed process|out of memory\' | tail -n 3', why: 'what the kernel says is for root of the machine' },
]

/** Programs that are mentioned, and run by other commands of the page. */
export const MENTIONED: readonly string[] = [
  'jq', 'nats', 'nats-server', 'prometheus-alertmanager', 'scripts/backup --every', 'scripts/drift apply', 'scripts/klaim', 'scripts/rekey-members', 'scripts/rekey-members --apply', 'scripts/reseed', 'scripts/restore', 'scripts/restore BACKUP', 'scripts/webhook-notice',
]

/** Words and phrases that are no commands, whatever programs a machine has. */
export const PHRASES: readonly string[] = [
  'a member is to be erased', 'an operator has …', 'are there', 'include "cluster.conf"', 'install', 'limits are counted by this gateway alone', 'not looked at', 'restored and compared', 'service', 'traces are taken again', 'which is set nowhere',
]

/** Programs that scripts/test puts on the machine; those of Docker and of Node may be wherever they are. */
const OURS = ['amtool', 'docker', 'nats', 'nats-server', 'node', 'npm', 'prometheus', 'prometheus-alertmanager', 'promtool']

/** A command without what is set for it alone. */
const bare = (command: string): string => command.replace(/^(?:[A-Z_]+=\S+ )*/, '')
export const programOf = (command: string): string => /^[^\s;]+/.exec(bare(command))?.[0] ?? ''

const code = codeIn(runbook)
/** Those that Debian has here, and what the shell does itself. */
const programs = new Set(spawnSync('bash', ['-c', 'for word; do [ -z "$(type -t "$word")" ] || echo "$word"; done', '-', ...code.map(({ text }) => programOf(text)).filter((word) => /^[a-z][\w.-]*$/.test(word))],
  { encoding: 'utf8', env: { PATH: '/usr/bin:/usr/sbin:/bin:/sbin' } }).stdout.split('\n'))
const isScript = (program: string): boolean => /^scripts\/[a-z-]+$/.test(program) && existsSync(join(ROOT, program)) && statSync(join(ROOT, program)).isFile()
const isCommand = ({ text }: Command): boolean => !PHRASES.includes(text) && (isScript(programOf(text)) || OURS.includes(programOf(text)) || programs.has(programOf(text)))

export const commands = code.filter(isCommand)
const isOfOthers = ({ text, under, isStep }: Command): boolean => CONTAINERS.includes(under) || (isStep && under in PROCEDURES) || MENTIONED.includes(text) || [...ELSEWHERE, ...BY_HAND].some(({ command }) => command === text)
/** What is mentioned, and carried out neither by a longer command nor by a step of a procedure. */
export const idle = MENTIONED.filter((mention) => !commands.some((command) => bare(command.text).startsWith(`${mention} `) || (command.text === mention && command.isStep)))
/** What runbook-commands.test.ts carries out, once each, in the order of the page. */
export const here = [...new Set(commands.filter((command) => !isOfOthers(command)).map(({ text }) => text))]

/** What reads like a command, and is known neither for one nor for none. */
export const unclear = code.filter((each) => /^[a-z][\w./-]*\s/.test(each.text) && !/^\w+: /.test(each.text) && !PHRASES.includes(each.text) && !isCommand(each)).map(({ text }) => text)
