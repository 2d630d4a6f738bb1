// Pages of a stream that miss nothing that was stored before they were asked for.
//
// In a cluster a direct get is answered by any node that has the stream, and of an acknowledged write it may not know yet: on three nodes 12 to 30 % of reads
// right after a write missed it, by up to 80 ms (nats-server 2.15.1). So where a page ends is the leader's word.
//
// The client's own batches (`direct.getBatch`, 3.4.0) decode every header of every message, which took more than half of a rebuild, and leave their
// subscription open for five seconds. So the batch is asked for here, and headers are decoded by who asks for them.
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream'
import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node'
import { transient } from './fault.ts'

/** Codes that end a batch: all of it was sent (204), there is nothing to send (404). */
const ENDS: ReadonlySet<string> = new Set(['204', '404'])
/** Between two messages of a batch. */
const SILENCE_MS_MAX = 5_000
const LINE_END = '\r\n'
const FIRST_LINE = /^NATS\/1\.0(?: +(\d+).*)?\r\n/

/** A few headers by their exact names: the first value of each, '' where there is none, as `header.get` says it. */
export type Attributes = Pick<MsgHdrs, 'get'>
/** `header` takes long to decode; `attributes` does not. */
export type StoredMessage = StoredMsg & { readonly attributes: Attributes }

export interface Place { readonly from: number, readonly filter?: string, readonly size: number }

/** Up to `size` messages from a sequence on, oldest first; fewer only where there were no more when they were asked for. Transient Fault NATS_UNAVAILABLE. */
export async function pageOf (jsm: JetStreamManager, stream: string, place: Place): Promise<StoredMessage[]> {
  return await pageAs(jsm, stream, place, (message) => message)
}

/** The same, of which only what `as` makes of each message when it comes stays in memory until the page is whole. */
export async function pageAs<Item extends { readonly seq: number }> (jsm: JetStreamManager, stream: string, { from, filter = '>', size }: Place, as: (message: StoredMessage) => Item): Promise<Item[]> {
  // As some node knows it.
  const batch = async (seq: number, room: number): Promise<Item[]> => await batchOf(jsm, stream, { seq, batch: room, next_by_subj: filter }, as)
  try {
    // Where it ends is asked once, and of a page that is not full: who looked for the end behind each message would run after whoever keeps on writing.
    const found = await batch(from, size)
    if (found.length >= size) return found
    const end = await endOf(jsm, stream, filter)
    for (;;) {
      const seq = (found.at(-1)?.seq ?? from - 1) + 1
      if (found.length >= size || seq > end) return found
      const next = await nextOf(jsm, stream, seq, filter)
      if (!next) return found
      found.push(as(Object.assign(next, { attributes: next.header })))
      if (found.length < size) found.push(...await batch(next.seq + 1, size - found.length))
    }
  } catch (error) {
    throw transient('NATS_UNAVAILABLE', `${stream} could not be read`, { cause: error })
  }
}

/** The same beyond one page, until there are no more or at least `max` are read; `isWhole`: there are no more. */
export async function pagesOf (jsm: JetStreamManager, stream: string, { from, filter = '>', size, max }: { from: number, filter?: string, size: number, max: number }): Promise<{ messages: StoredMessage[], isWhole: boolean }> {
  const messages: StoredMessage[] = []
  for (let next = from; messages.length < max;) {
    const page = await pageOf(jsm, stream, { from: next, filter, size })
    messages.push(...page)
    if (page.length < size) return { messages, isWhole: true }
    next = (page.at(-1)?.seq ?? 0) + 1
  }
  return { messages, isWhole: false }
}

/** The first message from a sequence on, by the leader's word. The server takes such a question where the client's type does not (3.4.0). */
export async function nextOf (jsm: JetStreamManager, stream: string, seq: number, filter: string): Promise<StoredMsg | null> {
  return await jsm.streams.getMessage(stream, { seq, next_by_subj: filter } as { seq: number })
}

/** The sequence of the last message by the leader's word, 0 where there is none. */
async function endOf (jsm: JetStreamManager, stream: string, filter: string): Promise<number> {
  return (await jsm.streams.getMessage(stream, { last_by_subj: filter }))?.seq ?? 0
}

/** What the node that is asked knows of it. Rejects with what the server or the client says. */
async function batchOf<Item> (jsm: JetStreamManager, stream: string, question: { seq: number, batch: number, next_by_subj: string }, as: (message: StoredMessage) => Item): Promise<Item[]> {
  // The client's types do not show that it knows its connection, nor that this knows its options (3.4.0).
  const { nc: connection } = jsm as unknown as { nc: NatsConnection & { options: { inboxPrefix?: string } } }
  const inbox = createInbox(connection.options.inboxPrefix)
  const { promise, resolve, reject } = Promise.withResolvers<Item[]>()
  const found: Item[] = []
  let [counted, isBroken] = [0, false]
  const watching = setInterval(() => {
    if (counted === found.length) reject(new Error(`a batch of ${stream} stopped after ${counted} messages`))
    counted = found.length
  }, SILENCE_MS_MAX)
  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => {
      if (isBroken) return
      try {
        if (error) throw error
        const stored = new Direct(message)
        // What has a place in the stream is a message of it, whatever its author wrote where the server says how it went.
        if (stored.seq > 0) found.push(as(stored))
        else if (ENDS.has(stored.attributes.code)) resolve(found)
        else throw new Error(`a batch of ${stream} was answered by ${stored.attributes.code}`)
      } catch (error) {
        // What came in the same piece comes all the same, and must not be taken in behind a gap.
        isBroken = true
        reject(error)
      }
    },
  })
  try {
    connection.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(question), { reply: inbox })
    return await promise
  } finally {
    clearInterval(watching)
    subscription.unsubscribe()
  }
}

/** A message as a direct get brings it: what the server says of it stands among its headers, behind all that it was published with. */
class Direct {
  readonly data: Uint8Array
  readonly attributes: HeaderText
  readonly seq: number
  readonly #message: Msg

  constructor (message: Msg) {
    this.#message = message
    this.data = message.data
    this.attributes = new HeaderText(textOf(message))
    this.seq = Number(this.attributes.last('\r\nNats-Sequence:'))
  }

  get header (): MsgHdrs { return this.#message.headers as MsgHdrs }
  get subject (): string { return this.attributes.last('\r\nNats-Subject:') }
  get timestamp (): string { return this.attributes.last('\r\nNats-Time-Stamp:') }
  get time (): Date { return new Date(this.timestamp) }
  get lastSequence (): number { return Number(this.attributes.last('\r\nNats-Last-Sequence:')) }
  get pending (): number { return Number(this.attributes.last('\r\nNats-Num-Pending:')) }
  // eslint-disable-next-line typescript/no-unnecessary-type-parameters -- StoredMsg has it so
  json<T> (): T { return this.#message.json<T>() }
  string (): string { return this.#message.string() }
}

/** Names with their colons, in an order in which they came, and which one of a name is the first. */
interface Layout { readonly names: readonly string[], readonly firstOf: ReadonlyMap<string, number> }
const layoutOf = (names: readonly string[]): Layout => ({ names, firstOf: new Map(names.map((name, n) => [name.slice(0, -1), n] as const).toReversed()) })
/** Of the message before: most of a stream have the same names in the same order, so none has to be cut out and looked up. */
let usual = layoutOf([])

const BLANK = 0x20
/** Between a colon and the end of its line. Most values begin with a blank, which the client puts there, and have none besides: then there is nothing to trim. */
function valueIn (text: string, from: number, end: number): string {
  const begin = text.charCodeAt(from) === BLANK ? from + 1 : from
  const value = text.slice(begin, end)
  return isPlain(text.charCodeAt(begin)) && isPlain(text.charCodeAt(end - 1)) ? value : value.trim()
}
/** Beyond ASCII there are other blanks. */
const isPlain = (code: number): boolean => code > BLANK && code < 0x7f

/** Headers as they came, looked through once. No value holds a line break, so each stands on a line of its own. */
class HeaderText implements Attributes {
  readonly #text: string
  #layout: Layout | undefined
  /** Where each line begins, and where the one behind the last would. */
  readonly #lines: number[] = []

  constructor (text: string) { this.#text = text }

  /** With which the server answers in a message's stead. */
  get code (): string { return FIRST_LINE.exec(this.#text)?.[1] ?? '' }

  get (name: string): string {
    const { names, firstOf } = this.#layout ??= this.#read()
    const n = firstOf.get(name)
    if (n === undefined) return ''
    return valueIn(this.#text, (this.#lines[n] ?? 0) + (names[n]?.length ?? 0), (this.#lines[n + 1] ?? 0) - LINE_END.length)
  }

  /** What stands last under a name, of which `line` is the end of the line before, the name and the colon. */
  last (line: string): string {
    const at = this.#text.lastIndexOf(line)
    const from = at + line.length
    return at < 0 ? '' : valueIn(this.#text, from, this.#text.indexOf(LINE_END, from))
  }

  #read (): Layout {
    const [text, lines, { names }] = [this.#text, this.#lines, usual]
    let others: string[] | undefined
    let from = text.indexOf(LINE_END) + LINE_END.length
    for (let end = text.indexOf(LINE_END, from); end > from; end = text.indexOf(LINE_END, from)) {
      const name = names[lines.length]
      // Without a colon there is no name, and each line would begin with it.
      if (others !== undefined || !name || !text.startsWith(name, from)) {
        others ??= names.slice(0, lines.length)
        others.push(text.slice(from, text.indexOf(':', from) + 1))
      }
      lines.push(from)
      from = end + LINE_END.length
    }
    if (others !== undefined || lines.length < names.length) usual = layoutOf(others ?? names.slice(0, lines.length))
    lines.push(from)
    return usual
  }
}

/** What the last message came in. */
let piece: Buffer = Buffer.alloc(0)

/** The client shows headers decoded only; their bytes stand before those of the body. Its types do not show its size, which counts subject and reply, too (3.4.0). */
function textOf (message: Msg): string {
  const { data } = message
  const length = (message as Msg & { size: () => number }).size() - message.subject.length - (message.reply?.length ?? 0) - data.length
  // Many messages come in one piece, and to make a view of its bytes takes longer than to read from one.
  if (piece.buffer !== data.buffer) piece = Buffer.from(data.buffer)
  const text = length <= data.byteOffset ? piece.toString('utf8', data.byteOffset - length, data.byteOffset) : ''
  return FIRST_LINE.test(text) && text.endsWith('\r\n\r\n') ? text : (message.headers as { toString (): string } | undefined)?.toString() ?? ''
}
