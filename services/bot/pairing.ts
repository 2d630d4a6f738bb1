// What a person needs to link the bot to its account: a QR code or an eight-character code, while one is valid. Whoever sees it can take the
// bot over, so it goes to the terminal and the internal port only, never to the log.
import QRCode from 'qrcode'
import type { Log } from '../common/log.ts'

export interface Pairing {
  /** `linked` where nothing has to be done. `notice` is a sentence for the person who links. */
  current (): PairingView
  qrPng (): Promise<Buffer | null>
  showQr (qr: string, notice?: string): void
  showCode (code: string): void
  demandPasskey (): void
  done (): void
  waiting (): void
}

export interface PairingView { readonly state: 'linked' | 'waiting' | 'qr' | 'code' | 'passkey', readonly qr?: string, readonly code?: string, readonly notice?: string }

export function createPairing (log: Log, terminal: (text: string) => void): Pairing {
  let view: PairingView = { state: 'waiting' }
  const isShown = log.isLevelEnabled('info')
  return {
    current: () => view,
    qrPng: async () => view.qr === undefined ? null : await QRCode.toBuffer(view.qr, { type: 'png', errorCorrectionLevel: 'L', scale: 6 }),
    showQr: (qr, notice) => {
      view = { state: 'qr', qr, ...(notice === undefined ? {} : { notice }) }
      log.warn({ notice }, "the bot is not linked: scan the QR code with the bot's phone (WhatsApp, Linked devices)")
      if (isShown) QRCode.toString(qr, { type: 'terminal', small: true, errorCorrectionLevel: 'L' }).then((drawn) => { terminal(`${drawn}\n`) }, () => {})
    },
    showCode: (code) => {
      view = { state: 'code', code }
      log.warn("the bot is not linked: type the pairing code on the bot's phone (WhatsApp, Linked devices, Link with phone number)")
      if (isShown) terminal(`WhatsApp pairing code: ${code.slice(0, 4)}-${code.slice(4)}\n`)
    },
    demandPasskey: () => {
      view = { state: 'passkey', notice: 'WhatsApp demands a passkey for linking this account, which Baileys 7.0.0-rc14 cannot give. Use an account without that demand.' }
      log.error({ code: 'WHATSAPP_PASSKEY_DEMANDED' }, 'WhatsApp demands a passkey to link this account, and the library cannot give one')
    },
    done: () => { view = { state: 'linked' } },
    waiting: () => { if (view.state !== 'passkey') view = { state: 'waiting' } },
  }
}
