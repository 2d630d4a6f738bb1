// The real Prometheus and Alertmanager with the configuration of this repository, in which only addresses and times are others: those of a test.
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { until as soon } from '../../../services/test/journey.ts'
import { freePort } from '../../staging/nats/nats-server.ts'
import { hurried } from './hurry.ts'
import { startProgram } from './program.ts'
import { PROMETHEUS } from './promtool.ts'

export interface HeardAlert { readonly status: string, readonly labels: Readonly<Record<string, string>>, readonly annotations: Readonly<Record<string, string>> }
/** `to` is the path, `at` epoch ms. */
export interface Heard { readonly to: string, readonly at: number, readonly alerts: readonly HeardAlert[] }
/** `address` is host:port. */
export interface Door { readonly address: string, readonly close: () => Promise<void> }

/** With the patience of these tests. */
export const until: typeof soon = async (what, look) => await soon(what, look, { waitMs: 60_000, everyMs: 50 })

async function serve (answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Door> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Everything that is posted there, in order. */
export async function startReceiver (): Promise<Door & { readonly heard: readonly Heard[] }> {
  const heard: Heard[] = []
  const door = await serve((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => {
      heard.push({ to: request.url ?? '', at: Date.now(), alerts: (JSON.parse(text) as Heard).alerts })
      response.end()
    })
  })
  return { ...door, heard }
}

/** A service as Prometheus sees it. */
export async function startTarget (metrics: () => string): Promise<Door> {
  return await serve((_, response) => { response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(metrics()) })
}

/** `bot`, `secretFile`: where admins are told of alerts; `to`: the address of all who are told otherwise. `factor`: how many times faster than in production. */
export async function startAlertmanager (directory: string, { to, bot, secretFile, factor }: { to: string, bot: string, secretFile: string, factor: number }): Promise<Door> {
  const config = hurried(readFileSync(join(PROMETHEUS, 'alertmanager.yml'), 'utf8'), factor)
    .replaceAll(/https:\/\/([a-z-]+)\.example\.org\/klaim/g, (_, name: string) => `http://${to}/${name}`)
    .replace('http://127.0.0.1:8085', bot).replace('/etc/klaim/alerts_secret', secretFile)
  const file = join(directory, 'alertmanager.yml')
  writeFileSync(file, config, { mode: 0o600 })
  const address = `127.0.0.1:${await freePort()}`
  const { stop } = await startProgram('ALERTMANAGER', [`--config.file=${file}`, `--storage.path=${join(directory, 'alertmanager')}`, `--web.listen-address=${address}`, '--cluster.listen-address='], `http://${address}/-/ready`)
  return { address, close: stop }
}

/** `services`: the address of each service. */
export async function startPrometheus (directory: string, { alertmanager, services }: { alertmanager: string, services: Readonly<Record<string, string>> }): Promise<Door> {
  const address = `127.0.0.1:${await freePort()}`
  mkdirSync(join(directory, 'targets'))
  cpSync(join(PROMETHEUS, 'rules'), join(directory, 'rules'), { recursive: true })
  const targets = readFileSync(join(PROMETHEUS, 'targets/klaim.yml'), 'utf8').replaceAll(/(service: ([a-z-]+) \}\n\s+targets: )\[\S+\]/g, (_, before: string, service: string) => `${before}[${services[service]}]`)
  writeFileSync(join(directory, 'targets/klaim.yml'), targets)
  writeFileSync(join(directory, 'targets/alertmanager.yml'), readFileSync(join(PROMETHEUS, 'targets/alertmanager.yml'), 'utf8').replace('127.0.0.1:9093', alertmanager))
  writeFileSync(join(directory, 'prometheus.yml'), readFileSync(join(PROMETHEUS, 'prometheus.yml'), 'utf8').replaceAll(/(_interval|_timeout): \S+/g, '$1: 1s'))
  // It finds Alertmanager after some seconds, and would say again only after a minute what it said before.
  const flags = ['--rules.alert.resend-delay=1s', `--config.file=${join(directory, 'prometheus.yml')}`, `--storage.tsdb.path=${join(directory, 'prometheus')}`, `--web.listen-address=${address}`]
  const { stop } = await startProgram('PROMETHEUS', flags, `http://${address}/-/ready`)
  return { address, close: stop }
}
