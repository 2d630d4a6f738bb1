/** Receipts of the bot: a message arrived, was read, or could not be read and is wanted again. */
import { type Connection, type Double, settle } from '../double.ts'
import { sendAgain } from '../member.ts'
import { child, children, stanza, type Stanza } from '../stanza.ts'
import type { Companion } from '../world.ts'

export async function onReceipt (double: Double, connection: Connection, companion: Companion, receipt: Stanza): Promise<void> {
  const { id = '', to, type } = receipt.attrs
  const ids = [id, ...children(child(receipt, 'list'), 'item').map(({ attrs }) => attrs.id ?? '')]
  for (const one of ids) settle(companion, 'message', one)
  connection.send(stanza('ack', { class: 'receipt', id, from: to, type }))
  if (type === 'retry') await sendAgain(double, companion, receipt)
  double.changed()
}
