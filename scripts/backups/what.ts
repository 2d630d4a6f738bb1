// What a backup holds: the least from which Klaim goes on without harm, in the order in which it is copied.
//
// Streams are copied one after another while everything runs, so of two streams the later copy knows more. Who acts on a stream says or writes
// down what came of it and only then acknowledges: a source that is copied before its effects never claims something done whose effect is
// not in the copy, and what it has not acknowledged is done again, and found done. Hence roster, MEMBERS, CLAIMS and then all that comes of
// claims. SERVERS is both source and effect of CLAIMS: it is copied as an effect, and as a source it is read again from its beginning after a
// restore, which changes nothing: the ledger has decided already.
//
// A stream goes with its durable consumers and how far each is, so after a restore nothing is delivered that was handled at the backup.
//
//   roster         who was a member; without it those who left while everything was down would never be noticed
//   MEMBERS        the ledger remembers the sequence of the newest movement it has seen: in an empty stream every later one would look older
//   CLAIMS         the record of who has which server
//   SERVERS        a claim whose server was reported and not yet recorded would wait for ever; and causes are looked up there
//   MESSAGES       what is still to be said
//   OPERATIONS     who had what done; a word of an operator is the cause of a decision, so it is copied after CLAIMS
//   provisioning   how far a claim is on the panel; without it a server under way would get a new password for no reason
//   templates      the versions that claims are built from
//   brake          a brake that is on stays on
//   sent           what was handed to WhatsApp is not handed over again
//
// Left out, on purpose:
//   DELETIONS          made anew by the reaper's sweep, from the ledger. An old word that somebody is absent must not delete a server later
//   whatsapp_session   its ratchets only go forward. From an old copy the bot would encrypt under message keys that were used before, and
//                      phones drop such a message without a word: a login would vanish. The bot is linked anew instead, in a minute
//   admission          an operator's word of now: who closes the door to restore does not have it opened by that
//   DEAD_LETTERS, LIMITS, allocations, nonces, whatsapp_lease, topology   for people to look at, or over within minutes, or made anew
import { brakeBucket, provisioningBucket, rosterBucket, sentBucket, sessionBucket, templatesBucket, type BucketDefinition, STORED } from '../../contracts/streams.ts'

export const streamOf = ({ name }: BucketDefinition): string => `KV_${name}`

/** Names of streams, in the order in which they are copied. */
export const COPIED: readonly string[] = [
  streamOf(rosterBucket), 'MEMBERS', 'CLAIMS', 'SERVERS', 'MESSAGES', 'OPERATIONS', ...[provisioningBucket, templatesBucket, brakeBucket, sentBucket].map(streamOf),
]

/** Consumers that begin anew after a restore, by their stream. */
export const READ_AGAIN: ReadonlyArray<readonly [stream: string, consumer: string]> = [['SERVERS', 'claim-store-servers']]

/** Emptied by a restore: of a time that the restored ledger does not know. */
export const EMPTIED: readonly string[] = ['DELETIONS']

/** Everything else there is, which a restore leaves as it is. */
export const LEFT_ALONE: readonly string[] = STORED.filter((name) => !COPIED.includes(name) && !EMPTIED.includes(name))
export const SESSION = streamOf(sessionBucket)
