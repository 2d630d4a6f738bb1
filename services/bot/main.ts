import { run, type Start } from '../common/run.ts'
import { startBot } from './bot.ts'
import { BotConfig } from './config.ts'

export const start: Start<BotConfig> = startBot

if (import.meta.main) await run('bot', BotConfig, start)
