import { maxAgeMsOf } from '../../contracts/streams.ts'
import { startAging } from '../common/aging.ts'
import { createBus } from '../common/bus.ts'
import { natsOf } from '../common/connect.ts'
import { loadMessages } from '../common/messages.ts'
import { run, type Start } from '../common/run.ts'
import { Config } from './config.ts'
import { startNotifying } from './service.ts'
import { createWording } from './wording.ts'

export const start: Start<Config> = async (config, { log, metrics, now }) => {
  const wording = createWording(loadMessages(config.MESSAGES_DIR), config.PANEL_PUBLIC_URL)
  const bus = await createBus({ ...natsOf(config), service: 'notifier', log, metrics, now })
  startNotifying({ bus, wording, log })
  const aging = startAging({ bus, what: [{ stream: 'MESSAGES', filter: 'messages.>', maxAgeMs: maxAgeMsOf('MESSAGES') }], now, log })
  return {
    checks: { nats: () => bus.isConnected() ? 'ok' : 'not connected' },
    stop: async () => {
      await aging.stop()
      await bus.close()
    },
  }
}

export const main = async (): Promise<void> => { await run('notifier', Config, start) }
if (import.meta.main) await main()
