import { run, type Start } from '../common/run.ts'
import { startBot } from './bot.ts'
import { BotConfig } from './config.ts'
import { isLibraryFault } from './library-fault.ts'

export const start: Start<BotConfig> = async (config, runtime) => await startBot(config, runtime)

export const main = async (): Promise<void> => { await run('bot', BotConfig, start, { code: 'WHATSAPP_LIBRARY_FAULT', isBearable: isLibraryFault }) }
if (import.meta.main) await main()
