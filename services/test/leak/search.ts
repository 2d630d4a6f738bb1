// Looks for thousands of needles at once in whatever bytes it is given, and in what is zipped there.
import { inflateRawSync } from 'node:zlib'
import type { Needle } from './needles.ts'

/** A part of a place: a line of text, a file, a message. */
export interface Piece { readonly place: string, readonly part: string, readonly bytes: Uint8Array }
export interface Found { readonly place: string, readonly part: string, readonly needle: Needle, /** What stands around it, without it. */ readonly around: string }

/** Head of a gzip stream without a file name, which is how Node writes it. */
const GZIP = Buffer.from([0x1f, 0x8b, 0x08, 0x00])
const GZIP_HEAD_BYTES = 10
const UNZIPPED_BYTES_MAX = 64 * 1024 * 1024
const AROUND_BYTES = 60

/** Each needle is reported once for each part. */
export function createSearch (needles: readonly Needle[]): (pieces: Iterable<Piece>) => Found[] {
  const byHead = new Map<number, Needle[]>()
  /** Whether any needle begins with these two bytes: most of a haystack is left behind here. */
  const begins = new Uint8Array(65_536)
  const known = new Set<string>()
  for (const needle of needles) {
    const looks = `${needle.kind} ${needle.bytes.toString('latin1')}`
    if (known.has(looks)) continue
    known.add(looks)
    const head = needle.bytes.readUInt32BE()
    begins[head >>> 16] = 1
    byHead.set(head, [...byHead.get(head) ?? [], needle])
  }

  function* search ({ place, part }: Piece, bytes: Buffer): Generator<Found> {
    const seen = new Set<Needle>()
    for (let at = 0; at + 4 <= bytes.length; at++) {
      if (begins[bytes.readUInt16BE(at)] === 0) continue
      for (const needle of byHead.get(bytes.readUInt32BE(at)) ?? []) {
        const end = at + needle.bytes.length
        if (seen.has(needle) || end > bytes.length || bytes.compare(needle.bytes, 0, needle.bytes.length, at, end) !== 0) continue
        seen.add(needle)
        yield { place, part, needle, around: `${shown(bytes.subarray(Math.max(0, at - AROUND_BYTES), at))}…${shown(bytes.subarray(end, end + AROUND_BYTES))}` }
      }
    }
  }

  return (pieces) => [...pieces].flatMap((piece) => layersOf(Buffer.from(piece.bytes)).flatMap((layer) => [...search(piece, layer)]))
}

function layersOf (bytes: Buffer): Buffer[] {
  const layers = [bytes]
  for (let at = bytes.indexOf(GZIP); at !== -1; at = bytes.indexOf(GZIP, at + 1)) {
    try {
      // Not as gzip: that refuses a stream with something else behind it, as in a block of NATS.
      layers.push(inflateRawSync(bytes.subarray(at + GZIP_HEAD_BYTES), { maxOutputLength: UNZIPPED_BYTES_MAX }))
    } catch {
      // Four bytes that happen to look like it.
    }
  }
  return layers
}

const shown = (bytes: Buffer): string => bytes.toString('latin1').replaceAll(/[^\x20-\x7e]/g, '·')
