/** Text that is already HTML. Everything else is escaped when it is put into a page. */
export class Html {
  readonly text: string
  constructor (text: string) { this.text = text }
}

type Piece = Html | string | number | undefined | null | false | readonly Piece[]

/** html`<p>${words}</p>`: values are escaped; lists are joined; undefined, null and false are nothing. */
export function html (strings: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return new Html(strings.map((text, index) => text + (index < pieces.length ? textOf(pieces[index]) : '')).join(''))
}

function textOf (piece: Piece): string {
  if (piece === undefined || piece === null || piece === false) return ''
  if (piece instanceof Html) return piece.text
  if (typeof piece === 'string' || typeof piece === 'number') return escaped(String(piece))
  return piece.map(textOf).join('')
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
