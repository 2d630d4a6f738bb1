/** What an administrator set up before the first request: nodes with ports, nests with eggs. */
import { createHash } from 'node:crypto'
import type { Egg, EggVariable, State } from './state.ts'

export interface NodeSeed {
  name: string
  /** Address the allocations are on; servers listen there. */
  ip: string
  alias?: string | null
  /** First and last port, both allocated. Keep clear of the ephemeral ports (32768 and up on Linux). */
  ports: readonly [number, number]
  memory?: number
  disk?: number
}

const PORTS_PER_NODE_MAX = 1000

export function seed (state: State, nodes: readonly NodeSeed[]): void {
  seedEggs(state)
  for (const [index, node] of nodes.entries()) {
    const id = index + 1
    const [first, last] = node.ports
    if (!(first > 1024 && last <= 65535 && last >= first && last - first < PORTS_PER_NODE_MAX)) throw new Error('PANEL_DOUBLE_PORTS_INVALID')
    state.nodes.set(id, {
      id, uuid: uuidOf(`node ${id}`), name: node.name, fqdn: node.ip, memory: node.memory ?? 1_000_000, disk: node.disk ?? 1_000_000,
      tokenId: digest(`token id ${id}`).slice(0, 16), token: digest(`token ${id}`), createdAt: state.seedTime
    })
    for (let port = first; port <= last; port++) addAllocation(state, id, node.ip, port, node.alias ?? null)
  }
}

/** Adds the allocation unless the node has that address already (INSERT IGNORE). */
export function addAllocation (state: State, nodeId: number, ip: string, port: number, alias: string | null): void {
  const isKnown = state.allocations.values().some(known => known.nodeId === nodeId && known.ip === ip && known.port === port)
  if (isKnown) return
  const id = state.nextId('allocations')
  state.allocations.set(id, { id, nodeId, ip, alias, port, serverId: null })
}

const author = 'support@pterodactyl.io'

// Nests 1 to 4 are those of a fresh panel, of which only the egg the measurements used is filled in; the generic eggs are nest 5.
const nests = [
  ['Minecraft', 'Minecraft - the classic game from Mojang. With support for Vanilla MC, Spigot, and many others!'],
  ['Source Engine', 'Includes support for most Source Dedicated Server games.'],
  ['Voice Servers', 'Voice servers such as Mumble and Teamspeak 3.'],
  ['Rust', 'Rust - A game where you must fight to survive.'],
  ['Generic', 'Runtimes for programs of any kind.']
] as const

function seedEggs (state: State): void {
  for (const [index, [name, description]] of nests.entries()) {
    const id = index + 1
    state.nests.set(id, { id, uuid: uuidOf(`nest ${id}`), author, name, description })
  }
  for (const egg of [paper, nodejs, python]) state.eggs.set(egg.id, egg)
}

const variable = (id: number, name: string, envVariable: string, defaultValue: string, rules: string, isEditable = true, description = ''): EggVariable =>
  ({ id, name, description, envVariable, defaultValue, viewable: isEditable, editable: isEditable, rules })

const yolks = (language: string, label: string, versions: number[] | string[]) =>
  Object.fromEntries(versions.map(version => [`${label} ${version}`, `ghcr.io/parkervcp/yolks:${language}_${version}`]))

const paper: Egg = {
  id: 5,
  nestId: 1,
  uuid: uuidOf('egg paper'),
  name: 'Paper',
  author: 'parker@pterodactyl.io',
  description: 'High performance Spigot fork that aims to fix gameplay and mechanics inconsistencies.',
  images: Object.fromEntries([21, 17, 16, 11, 8].map(version => [`Java ${version}`, `ghcr.io/pterodactyl/yolks:java_${version}`])),
  startup: 'java -Xms128M -XX:MaxRAMPercentage=95.0 -Dterminal.jline=false -Dterminal.ansi=true -jar {{SERVER_JARFILE}}',
  stop: 'stop',
  done: ')! For help, type ',
  variables: [
    variable(11, 'Minecraft Version', 'MINECRAFT_VERSION', 'latest', 'nullable|string|max:20', true, 'The version of minecraft to download. \r\n\r\nLeave at latest to always get the latest version. Invalid versions will default to latest.'),
    variable(12, 'Server Jar File', 'SERVER_JARFILE', 'server.jar', 'required|regex:/^([\\w\\d._-]+)(\\.jar)$/', true, 'The name of the server jarfile to run the server with.'),
    variable(13, 'Download Path', 'DL_PATH', '', 'nullable|string', false, 'A URL to use to download a server.jar rather than the ones in the install script. This is not user viewable.'),
    variable(14, 'Build Number', 'BUILD_NUMBER', 'latest', 'required|string|max:20', true, 'The build number for the paper release.\r\n\r\nLeave at latest to always get the latest version. Invalid versions will default to latest.')
  ]
}

const nodejs: Egg = {
  id: 15,
  nestId: 5,
  uuid: uuidOf('egg nodejs'),
  name: 'node.js generic',
  author,
  description: 'A generic Node.js egg: pulls a git repository if one is named, installs its packages and runs the main file.',
  images: yolks('nodejs', 'Nodejs', [24, 22, 20]),
  startup: 'if [[ -d .git ]] && [[ {{AUTO_UPDATE}} == "1" ]]; then git pull; fi; if [ -f /home/container/package.json ]; then /usr/local/bin/npm install; fi; /usr/local/bin/node /home/container/{{MAIN_FILE}} {{NODE_ARGS}}',
  stop: '^^C',
  done: 'change this text',
  variables: [
    variable(41, 'Git Repo Address', 'GIT_ADDRESS', '', 'nullable|string'),
    variable(42, 'Install Branch', 'BRANCH', '', 'nullable|string'),
    variable(43, 'Git Username', 'USERNAME', '', 'nullable|string'),
    variable(44, 'Git Access Token', 'ACCESS_TOKEN', '', 'nullable|string'),
    variable(45, 'User Uploaded Files', 'USER_UPLOAD', '0', 'required|boolean'),
    variable(46, 'Auto Update', 'AUTO_UPDATE', '0', 'required|boolean'),
    variable(47, 'Additional Node packages', 'NODE_PACKAGES', '', 'nullable|string'),
    variable(48, 'Uninstall Node packages', 'UNNODE_PACKAGES', '', 'nullable|string'),
    variable(49, 'Main file', 'MAIN_FILE', 'index.js', 'required|string|max:64'),
    variable(50, 'Additional Arguments.', 'NODE_ARGS', '', 'nullable|string|max:64')
  ]
}

const python: Egg = {
  id: 16,
  nestId: 5,
  uuid: uuidOf('egg python'),
  name: 'python generic',
  author,
  description: 'A generic Python egg: pulls a git repository if one is named, installs its requirements and runs the main file.',
  images: yolks('python', 'Python', ['3.13', '3.12', '3.11']),
  startup: 'if [[ -d .git ]] && [[ "{{AUTO_UPDATE}}" == "1" ]]; then git pull; fi; if [[ -f /home/container/${REQUIREMENTS_FILE} ]]; then pip install -U --prefix .local -r ${REQUIREMENTS_FILE}; fi; /usr/local/bin/python /home/container/{{PY_FILE}}',
  stop: '^C',
  done: 'change this text',
  variables: [
    variable(51, 'Git Repo Address', 'GIT_ADDRESS', '', 'nullable|string'),
    variable(52, 'Git Branch', 'BRANCH', '', 'nullable|string'),
    variable(53, 'User Uploaded Files', 'USER_UPLOAD', '0', 'required|boolean'),
    variable(54, 'Auto Update', 'AUTO_UPDATE', '0', 'required|boolean'),
    variable(55, 'App py file', 'PY_FILE', 'app.py', 'required|string'),
    variable(56, 'Additional Python packages', 'PY_PACKAGES', '', 'nullable|string'),
    variable(57, 'Git Username', 'USERNAME', '', 'nullable|string'),
    variable(58, 'Git Access Token', 'ACCESS_TOKEN', '', 'nullable|string'),
    variable(59, 'Requirements file', 'REQUIREMENTS_FILE', 'requirements.txt', 'required|string')
  ]
}

function uuidOf (name: string): string {
  const hex = digest(name)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

function digest (name: string): string {
  return createHash('sha256').update(`panel double: ${name}`).digest('hex')
}
