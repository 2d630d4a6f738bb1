import { run, type Start } from '../common/run.ts'
import { startBot } from './bot.ts'
import { BotConfig } from './config.ts'

export const start: Start<BotConfig> = async (config, runtime) => await startBot(config, runtime)

if (import.meta.main) await run('bot', BotConfig, start)
