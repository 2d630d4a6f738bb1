/**
 * Bootstrap of a staging process: `node --import ./deploy/staging/whatsapp/trust-root.ts app.ts`.
 * Makes Baileys expect the double's certificate root instead of WhatsApp's, and changes nothing else. Baileys reads the key from this
 * exported object at each handshake (7.0.0-rc14, lib/Utils/noise-handler.js). That version does not yet act on a wrong signature, so it
 * connects with or without this; the day it does, staging keeps working and production keeps refusing the double.
 */
import { WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { stagingRoot } from './root-key.ts'

WA_CERT_DETAILS.PUBLIC_KEY = stagingRoot.public
