import { createBus } from '../common/bus.ts'
import { natsOf } from '../common/connect.ts'
import { run, type Start } from '../common/run.ts'
import { loadTemplates } from '../common/templates.ts'
import { Config } from './config.ts'
import { createService } from './service.ts'

export const start: Start<Config> = async (config, runtime) => {
  const templates = loadTemplates(config.TEMPLATES_FILE)
  const bus = await createBus({ ...natsOf(config), service: 'provisioner', ...runtime })
  try {
    const service = await createService(config, runtime, bus, templates)
    return {
      checks: { nats: () => bus.isConnected() ? 'ok' : 'disconnected', ...service.checks },
      stop: async () => {
        await service.stop()
        await bus.close()
      },
    }
  } catch (error) {
    await bus.close()
    throw error
  }
}

export const main = async (): Promise<void> => { await run('provisioner', Config, start) }
if (import.meta.main) await main()
