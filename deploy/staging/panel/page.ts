/** For the eyes of whoever watches a demo: users and servers, appearing and vanishing. */
import { escapeHtml } from './respond.ts'
import type { State } from './state.ts'
import type { Wings } from './wings.ts'

export function page (state: State, wings: Wings): string {
  const rows = <Row>(all: Iterable<Row>, cells: (row: Row) => Array<string | number>) =>
    [...all].map(row => `<tr>${cells(row).map(cell => `<td>${escapeHtml(String(cell))}</td>`).join('')}</tr>`).join('\n')
  const table = (head: string[], body: string) => `<table><tr>${head.map(name => `<th>${name}</th>`).join('')}</tr>\n${body}</table>`
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="3">
<title>Panel double</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd }
</style>
<h1>Panel double</h1>
<p>A stand-in for a Pterodactyl panel. Nothing here is a real server.</p>
<h2>Servers (${state.servers.size})</h2>
${table(['id', 'name', 'status', 'owner', 'egg', 'node', 'address', 'port'], rows(state.servers.values(), server => {
  const allocation = state.allocations.get(server.allocationId)
  return [server.id, server.name, server.status ?? 'normal', state.users.get(server.ownerId)?.username ?? '', state.eggs.get(server.eggId)?.name ?? '',
    state.nodes.get(server.nodeId)?.name ?? '', `${allocation?.ip}:${allocation?.port}`, wings.listeners.has(server.uuid) ? 'answers' : 'silent']
}))}
<h2>Users (${state.users.size})</h2>
${table(['id', 'username', 'e-mail', 'administrator', 'servers'], rows(state.users.values(), user =>
  [user.id, user.username, user.email, user.rootAdmin ? 'yes' : '', state.servers.values().filter(({ ownerId }) => ownerId === user.id).toArray().length]))}
</html>
`
}
