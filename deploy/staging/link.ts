// What a person does once, with the phone of the bot's account: shows it the bot's QR code. The phone is the double's.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

export interface Linking {
  /** The bot's internal address. Of two bots either may hold the session, and the other never asks to be linked. */
  readonly botUrls: readonly string[]
  /** The control API of the double of WhatsApp. */
  readonly whatsappUrl: string
  readonly internalSecret: string
  readonly waitMs: number
}

/** Resolves when the bot is linked, at once if it is already; throws after `waitMs`. */
export async function linkBot ({ botUrls, whatsappUrl, internalSecret, waitMs }: Linking): Promise<void> {
  const headers = { 'x-internal-secret': internalSecret }
  const shown = new Set<string>()
  for (const deadline = Date.now() + waitMs; Date.now() < deadline; await delay(100)) {
    for (const url of botUrls) {
      const view = await fetch(`${url}/internal/pairing`, { headers, signal: AbortSignal.timeout(5_000) }).then(async (answer) => await answer.json() as { state: string, qr?: string }, () => undefined)
      if (view?.state === 'linked') return
      if (view?.qr === undefined || shown.has(view.qr)) continue
      shown.add(view.qr)
      await fetch(`${whatsappUrl}/pair`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ qr: view.qr }) })
    }
  }
  throw new Error('the bot was not linked in time; its log says why')
}

if (import.meta.main) {
  const { BOT_URL = '', WHATSAPP_CONTROL_URL = '', INTERNAL_SECRET_FILE = '' } = process.env
  // The file holds two by comma while the secret is changed; the bot takes either.
  await linkBot({ botUrls: BOT_URL.split(','), whatsappUrl: WHATSAPP_CONTROL_URL, internalSecret: readFileSync(INTERNAL_SECRET_FILE, 'utf8').split(',')[0] ?? '', waitMs: 120_000 })
  process.stdout.write('The bot is linked to its account.\n')
}
