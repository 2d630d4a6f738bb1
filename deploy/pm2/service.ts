// What PM2 starts, with the name of a service: PM2 imports a script instead of running it, so that `import.meta.main` of the service's own main.ts says no.
import { isServing } from '../../contracts/services.ts'

const [, , name = ''] = process.argv
if (!isServing(name)) {
  process.stderr.write(`pm2: there is no service "${name}"\n`)
  process.exit(78)
}
const { main } = await import(`../../services/${name}/main.ts`) as { main: () => Promise<void> }
await main()
// PM2 waits for this word before it ends the process that this one takes the place of (`wait_ready`).
process.send?.('ready')
