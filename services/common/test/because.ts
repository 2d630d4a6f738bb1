// Readers believe an event only where its cause stands on its stream. A test that plays one author puts the cause there first.
import { randomUUID } from 'node:crypto'
import { headers } from '@nats-io/transport-node'
import type { TObject } from 'typebox'
import { causesOf } from '../../../contracts/causes.ts'
import { subjectOf, type EventDefinition } from '../../../contracts/define.ts'
import type { Bus, Said } from '../bus.ts'
import { eventId } from '../envelope.ts'

/** Puts what leads to such an event onto its stream, of which there are the headers alone: nobody has to act on it. Answers its id. `bus` needs the operator's rights. */
export async function because<Schema extends TObject> (bus: Bus, definition: EventDefinition<Schema>, data: Said<Schema>['data']): Promise<string> {
  const [cause] = causesOf(definition as unknown as EventDefinition)
  if (!cause) throw new Error(`${definition.type} has no cause`)
  const causation = eventId(cause, randomUUID())
  const h = headers()
  for (const [name, value] of [['ce-specversion', '1.0'], ['ce-type', cause.type], ['ce-id', causation], ['ce-source', `/klaim/${cause.authors[0]}`], ['ce-time', new Date().toISOString()]] as const) h.set(name, value)
  await bus.raw.js.publish(subjectOf(cause, data as never), '{}', { headers: h })
  return causation
}

/** Says an event after its cause. */
export async function sayCaused<Schema extends TObject> (bus: Bus, definition: EventDefinition<Schema>, said: Said<Schema>): Promise<{ sequence: number, duplicate: boolean }> {
  return await bus.publish(definition, { ...said, causation: await because(bus, definition, said.data) })
}
