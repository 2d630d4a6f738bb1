import { Type, type Static } from 'typebox'
import { CommonConfig } from '../common/run.ts'

export const Config = Type.Object({
  ...CommonConfig,
  MESSAGES_DIR: Type.String({ default: 'config/messages' }),
  /** Where members log in to the panel, as the login message tells them. */
  PANEL_PUBLIC_URL: Type.String({ pattern: '^https?://[^\\s]+$', maxLength: 200 }),
})
export type Config = Readonly<Static<typeof Config>>
