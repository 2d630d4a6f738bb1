import t from 'tap'
import { openApiDocument } from '../open-api-document.ts'
import { startWorld } from './world.ts'

/** Its address is there only with it. */
const webhook = { take: async () => 'accepted' as const }

const world = await startWorld(t)
const { paths } = openApiDocument() as { paths: Record<string, Record<string, { operationId: string, responses: Record<string, unknown> }>> }
const described = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`))

t.test('the API describes itself', async (t) => {
  const app = await world.app(t)
  const response = await app.inject('/api/openapi.json')
  t.match([response.statusCode, response.headers['content-type']], [200, /application\/json/])
  t.same(response.json(), openApiDocument())
})

t.test('what is described is there, and what is there is described', async (t) => {
  const app = await world.app(t, {}, { webhook })
  for (const path of Object.keys(paths)) {
    // The router tells what it takes when it is asked for what it does not take.
    const { headers } = await app.inject({ method: 'PATCH', url: path.replace('{id}', '0b2f3c64-8c0e-4d36-9d6c-0d6f0a3b1c11') })
    const taken = String(headers['allow']).split(', ').filter((method) => method !== 'HEAD').map((method) => `${method} ${path}`)
    t.same(taken, described.filter((call) => call.endsWith(` ${path}`)), path)
  }
  const routes = [...app.printRoutes({ commonPrefix: false, includeHooks: false }).matchAll(/── (\S+) \(/g)].map(([, path = '']) => path)
  const pages = ['/', 'claim/:id', 'style.css', 'api/openapi.json']
  t.same(routes.filter((path) => !pages.includes(path)).length, Object.keys(paths).length, 'no more and no less')
})
