import { randomInt } from 'node:crypto'

// No character that looks like another one, and none that WhatsApp would take for formatting (* _ ~ `) or that a shell or URL would touch.
const ALPHABET = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'
const LENGTH = 32

/** 32 characters out of 56: 185 bits. */
export function randomPassword (): string {
  return Array.from({ length: LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join('')
}
