import { admissionBucket, limitsStream } from '../../contracts/streams.ts'
import { createBus } from '../common/bus.ts'
import { natsOf } from '../common/connect.ts'
import { createMembership } from '../common/membership.ts'
import { loadMessages } from '../common/messages.ts'
import { run, type Start } from '../common/run.ts'
import { firstOf } from '../common/secret-pair.ts'
import { loadTemplates } from '../common/templates.ts'
import { createAdmission, createDoor } from './admission.ts'
import { createApp } from './app.ts'
import { Config } from './config.ts'
import { loadSite } from './site.ts'
import { createWebhook, webhookSettings } from './webhook.ts'

export const start: Start<Config> = async (config, { log, metrics, now: ownNow }) => {
  const settings = webhookSettings(config)
  const messages = loadMessages(config.MESSAGES_DIR)
  const templates = loadTemplates(config.TEMPLATES_FILE)
  const site = loadSite(config.WEB_DIR)
  if (!site) log.warn({ directory: config.WEB_DIR }, 'the exported claim page is not there; the form is served without it')
  const membership = createMembership(config.BOT_URL, firstOf(config.INTERNAL_SECRET))
  const bus = await createBus({ ...natsOf(config), service: 'gateway', log, metrics, now: ownNow })
  // Several gateways count one minute and know one window of signatures.
  const now = (): Date => bus.clock.now()
  const webhook = settings && await createWebhook({ settings, bus, now })
  const admissions = await bus.bucket(admissionBucket)
  const app = await createApp({ config, bus, counters: bus.counters(limitsStream), membership, admission: createAdmission(admissions), messages, templates, site, webhook, log, metrics, now })
  await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT })
  await bus.respond(createDoor(bus, admissions, log))
  return {
    checks: { nats: () => bus.isConnected() ? 'ok' : 'not connected' },
    stop: async () => {
      await app.close()
      await membership.close()
      await bus.close()
    },
  }
}

export const main = async (): Promise<void> => { await run('gateway', Config, start) }
if (import.meta.main) await main()
