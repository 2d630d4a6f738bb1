// Which files each container is given, and how they get into its volume. Whoever is named for a secret in deploy/secrets/catalogue.ts gets it, and nobody else.
import { accessSync, chmodSync, constants, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clusterText, usersText } from '../nats/config.ts'
import { SECRETS, secretOf, secretsFor, type SecretName } from '../secrets/catalogue.ts'
import type { Directory } from '../secrets/directory.ts'
import { natsKeys } from '../secrets/nats-keys.ts'

export interface Share {
  /** The container, or the kind of it: two gateways share one volume. */
  readonly holder: string
  /** Name → text. Whatever else is in the volume is removed. */
  readonly files: ReadonlyMap<string, string>
  /** The container runs as another user than ours. Its volume is nobody else's, so that it may be read by whoever gets into it. */
  readonly isForeign?: true
}

export interface Settings {
  /** deploy/nats/nats.conf */
  readonly natsConf: string
  /** Names of the containers; one alone is no cluster. */
  readonly natsNodes: readonly string[]
  readonly alertmanagerYml: string
  /** Where Alertmanager reaches the bot. */
  readonly alertsUrl: string
}

const ROUTES_PORT = 6222
const OWN_BOT = 'http://127.0.0.1:8085'

export function sharesOf (directory: Directory, settings: Settings): Share[] {
  const holders = [...new Set(SECRETS.flatMap(({ holders }): readonly string[] => holders))].filter((holder) => !['nats', 'alertmanager', 'system'].includes(holder))
  return [
    ...holders.map((holder) => ({ holder, files: secretFiles(directory, holder) })),
    { holder: 'nats', files: natsFiles(directory, settings) },
    { holder: 'alertmanager', files: new Map([...secretFiles(directory, 'alertmanager'), ['alertmanager.yml', settings.alertmanagerYml.replaceAll(OWN_BOT, settings.alertsUrl)]]), isForeign: true },
    // Of staging: the double of the panel lets in who has its key, and somebody links the bot to its account.
    { holder: 'panel', files: oneSecret(directory, 'PANEL_KEY') },
    { holder: 'link', files: oneSecret(directory, 'INTERNAL_SECRET') },
  ]
}

function oneSecret (directory: Directory, variable: SecretName): Map<string, string> {
  const { file } = secretOf(variable)
  return new Map([[file, directory.text(file)]])
}

function secretFiles (directory: Directory, holder: string): Map<string, string> {
  return new Map(secretsFor(holder).filter(({ file }) => directory.has(file)).map(({ file }) => [file, directory.text(file)]))
}

/** A whole configuration for each node: `<container>.conf`. */
function natsFiles (directory: Directory, { natsConf, natsNodes }: Settings): Map<string, string> {
  const routes = natsNodes.map((node) => `${node}:${ROUTES_PORT}`)
  const password = directory.text(secretOf('NATS_ROUTES_PASSWORD').file)
  return new Map([
    ['users.conf', usersText(natsKeys(directory))],
    ...natsNodes.map((node): [string, string] => [`${node}.conf`, [
      natsConf,
      '# The network of the containers is inside of one machine, and none of its ports is published: the exporter asks from there.\nhttp: "0.0.0.0:8222"\n',
      natsNodes.length === 1 ? '' : clusterText({ serverName: node, listen: `0.0.0.0:${ROUTES_PORT}`, routes, password, hasTls: false }),
    ].join('\n')]),
  ])
}

/** Writes what differs into `<volumes>/<holder>`, where such a volume is mounted, and answers what was changed in a line each. A file is replaced whole or not at all. */
export function handOut (shares: readonly Share[], volumes: string): string[] {
  const changed: string[] = []
  for (const { holder, files, isForeign } of shares) {
    const volume = join(volumes, holder)
    if (!isMounted(volume)) continue
    const [directoryMode, fileMode] = isForeign ? [0o755, 0o644] : [0o700, 0o600]
    if ((statSync(volume).mode & 0o777) !== directoryMode) chmodSync(volume, directoryMode)
    for (const [name, text] of files) {
      const path = join(volume, name)
      if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
      const aside = join(volume, `.${name}.new`)
      rmSync(aside, { force: true })
      writeFileSync(aside, text, { mode: fileMode, flush: true })
      renameSync(aside, path)
      changed.push(`${holder} has ${name}`)
    }
    for (const name of readdirSync(volume).filter((name) => !files.has(name))) {
      rmSync(join(volume, name))
      changed.push(`${holder} has no ${name} any more`)
    }
  }
  return changed
}

/** Without a volume on it, its directory in the image cannot be written, as nothing of the image can. */
function isMounted (volume: string): boolean {
  try {
    accessSync(volume, constants.W_OK)
    return true
  } catch (error) {
    if (['ENOENT', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}
