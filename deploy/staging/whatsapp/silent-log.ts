/** Baileys wants a logger; its lines about simulated devices would hold keys and numbers, so nobody gets to read them. */
import type { makeCacheableSignalKeyStore } from '@whiskeysockets/baileys'

type Log = NonNullable<Parameters<typeof makeCacheableSignalKeyStore>[1]>

const say = () => {}
export const silentLog: Log = { level: 'silent', child: () => silentLog, trace: say, debug: say, info: say, warn: say, error: say }
