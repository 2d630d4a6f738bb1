// What must not be found, in every form in which a careless line could have written it down.
import { createHash } from 'node:crypto'

export type Kind = 'number' | 'lid' | 'password' | 'key'

export interface Needle {
  readonly kind: Kind
  /** Whose or which, for the report: `the number of member 1`. */
  readonly what: string
  readonly form: string
  readonly bytes: Buffer
}

type Form = readonly [form: string, bytes: Buffer | string]
/** Shorter ones are found by chance. */
const BYTES_MIN = 7
/** A multiple of three, so that base64 has no remainder. */
const HASH_BYTES = 9

const named = (kind: Kind, what: string, forms: readonly Form[]): Needle[] =>
  forms.map(([form, bytes]) => ({ kind, what, form, bytes: Buffer.from(bytes) })).filter(({ bytes }) => bytes.length >= BYTES_MIN)

/** A text: a password, a key as it stands in its file. */
export const needlesOfText = (kind: Kind, what: string, text: string): Needle[] => named(kind, what, [
  ...formsOf(Buffer.from(text)), ['URL-encoded', encodeURIComponent(text)], ['escaped in JSON', JSON.stringify(text).slice(1, -1)],
])

/** What a text stands for: the bytes of a key that is written in hex or base64. */
export const needlesOfBytes = (kind: Kind, what: string, bytes: Uint8Array): Needle[] => named(kind, what, formsOf(Buffer.from(bytes)))

/** An Indonesian number, given with its country code. Without it and without the zero it is part of every way to write it. */
export function needlesOfNumber (what: string, digits: string): Needle[] {
  const national = digits.slice('62'.length)
  const [, first = '', second = '', third = ''] = /^(\d{3})(\d{4})(\d+)$/.exec(national) ?? []
  const grouped: Form[] = [' ', '-', '.', '%20', '+'].map((separator) => [`grouped by "${separator}"`, [first, second, third].join(separator)])
  return named('number', what, [...formsOf(Buffer.from(national)), ...grouped, ...packed(digits), ...hashed(digits, `+${digits}`, `0${national}`, `${digits}@s.whatsapp.net`)])
}

export const needlesOfLid = (what: string, lid: string): Needle[] => named('lid', what, [...formsOf(Buffer.from(lid)), ...packed(lid), ...hashed(lid, `${lid}@lid`)])

function formsOf (bytes: Buffer): Form[] {
  const hex = bytes.toString('hex')
  return [
    ['as it is', bytes],
    ['in hex', hex], ['in upper-case hex', hex.toUpperCase()],
    ['as a Buffer is printed', hex.replaceAll(/(..)(?=.)/g, '$1 ')],
    ['as a list of bytes', bytes.join(',')],
    ...[0, 1, 2].flatMap((shift): Form[] => {
      const text = base64At(bytes, shift)
      return [[`in base64, shifted by ${shift}`, text], [`in base64url, shifted by ${shift}`, text.replaceAll('+', '-').replaceAll('/', '_')]]
    }),
  ]
}

/** The part of a base64 text that is the same whatever stands around `bytes` in what was encoded, `shift` bytes before a multiple of three. */
function base64At (bytes: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64')
  return text.slice(Math.ceil(shift * 8 / 6), Math.floor((shift + bytes.length) * 8 / 6))
}

/** WhatsApp's binary stanzas hold digits two in a byte. */
const packed = (digits: string): Form[] => formsOf(Buffer.from(digits.length % 2 === 0 ? digits : `${digits}f`, 'hex')).map(([form, bytes]) => [`two digits in a byte, ${form}`, bytes])

/** A hash without a key is as good as the number: all of them are tried within minutes. Of one that was shortened the beginning is there. */
function hashed (...texts: readonly string[]): Form[] {
  return texts.flatMap((text) => ['sha256', 'sha1', 'md5'].flatMap((algorithm): Form[] => {
    const digest = createHash(algorithm).update(text).digest().subarray(0, HASH_BYTES)
    return [[`as ${algorithm} in hex`, digest.toString('hex')], [`as ${algorithm} in base64`, digest.toString('base64')], [`as ${algorithm} in base64url`, digest.toString('base64url')]]
  }))
}
