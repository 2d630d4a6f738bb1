import { limitsStream } from '../../contracts/streams.ts'
import { createBus } from '../common/bus.ts'
import { natsOf } from '../common/connect.ts'
import { createMembership } from '../common/membership.ts'
import { loadMessages } from '../common/messages.ts'
import { run, type Start } from '../common/run.ts'
import { firstOf } from '../common/secret-pair.ts'
import { loadTemplates } from '../common/templates.ts'
import { createApp } from './app.ts'
import { Config } from './config.ts'
import { loadSite } from './site.ts'
import { createWebhook, webhookSettings } from './webhook.ts'

export const start: Start<Config> = async (config, { log, metrics, now }) => {
  const settings = webhookSettings(config)
  const messages = loadMessages(config.MESSAGES_DIR)
  const templates = loadTemplates(config.TEMPLATES_FILE)
  const site = loadSite(config.WEB_DIR)
  if (!site) log.warn({ directory: config.WEB_DIR }, 'the exported claim page is not there; the form is served without it')
  const membership = createMembership(config.BOT_URL, firstOf(config.INTERNAL_SECRET))
  const bus = await createBus({ ...natsOf(config), service: 'gateway', log, metrics, now })
  const webhook = settings && await createWebhook({ settings, bus, log, now })
  const app = await createApp({ config, bus, counters: bus.counters(limitsStream), membership, messages, templates, site, webhook, log, metrics, now })
  await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT })
  // Nobody asks the gateway anything over NATS; this is how `nats service ls` shows it.
  await bus.respond([])
  return {
    checks: { nats: () => bus.isConnected() ? 'ok' : 'not connected' },
    stop: async () => {
      await app.close()
      await membership.close()
      await bus.close()
    },
  }
}

if (import.meta.main) await run('gateway', Config, start)
