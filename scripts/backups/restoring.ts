// The streams of an unpacked backup onto a server that does not have them. The verification of every backup and scripts/restore do the same.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NatsConnection } from '@nats-io/transport-node'
import { permanent } from '../../services/common/fault.ts'
import { wholeOn } from '../../services/common/topology.ts'
import { contentOf } from './content.ts'
import { managerOf } from './manager.ts'
import { descriptionOf, snapshotOf, type Manifest } from './manifest.ts'
import { restoreSnapshot, type Described } from './snapshot.ts'

/** Of an empty stream servers say one thing or another (nats-server 2.15.1: 0 before, 1 after). */
const first = (sequence: number, messages: number): number => messages === 0 ? 0 : sequence

/** Restores every stream and compares it with the manifest. Permanent Fault BACKUP_DIFFERS where it is not the same. */
export async function restoreStreams (connection: NatsConnection, directory: string, { streams }: Manifest, replicas: number): Promise<void> {
  const jsm = await managerOf(connection)
  for (const { name, messages, first_sequence, last_sequence, content_sha256, consumers } of streams) {
    const described = JSON.parse(await readFile(join(directory, descriptionOf(name)), 'utf8')) as Described
    await restoreSnapshot(connection, described, join(directory, snapshotOf(name)), replicas)
    if (replicas > 1) await wholeOn(jsm, name, replicas, consumers.length)
    const content = await contentOf(jsm, name, last_sequence)
    const { state } = await jsm.streams.info(name)
    const there: string[] = []
    for await (const consumer of jsm.consumers.list(name)) there.push(consumer.name)
    const is = { messages: content.messages, first: first(state.first_seq, state.messages), last: state.last_seq, sha256: content.sha256, consumers: there.toSorted() }
    const was = { messages, first: first(first_sequence, messages), last: last_sequence, sha256: content_sha256, consumers: consumers.toSorted() }
    for (const key of Object.keys(was) as Array<keyof typeof was>) {
      if (JSON.stringify(is[key]) !== JSON.stringify(was[key])) throw permanent('BACKUP_DIFFERS', `${name}: ${key} was ${String(was[key])} and is ${String(is[key])} after the restore`)
    }
  }
}
