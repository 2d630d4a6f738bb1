import t from 'tap'
import type { BinaryNode, GroupParticipant } from '@whiskeysockets/baileys'
import { authOf, connect, double, open } from './client.ts'

t.teardown(() => { setImmediate(() => process.exit()) })

const [one, two, visitor] = ['6281200000001', '6281200000002', '6281300000001'] as const
const ids = (participants: GroupParticipant[]) => participants.map(({ id }) => id)

/** The code with which a query was refused. */
async function refusal (query: Promise<unknown>): Promise<unknown> {
  const error: unknown = await query.then(() => undefined, (reason: unknown) => reason)
  return error instanceof Error && 'data' in error ? error.data : error
}

void t.test('the roster', async (t) => {
  const whatsapp = await double(t)
  const hidden = whatsapp.addPerson({ name: 'Hidden', isHidden: true, inGroup: true })
  const { sock } = await open(t, whatsapp)

  await t.test('of a group by LID names people by LID, with their numbers', async (t) => {
    const { addressingMode, participants, size, subject } = await sock.groupMetadata(whatsapp.group)
    t.match({ addressingMode, size, subject }, { addressingMode: 'lid', size: 8, subject: 'Klaim' })
    t.match(participants.find(({ phoneNumber }) => phoneNumber === `${one}@s.whatsapp.net`), { id: `${whatsapp.person(one).lid}@lid`, admin: null })
    t.equal(participants.filter(({ admin }) => admin === 'superadmin').length, 1)
  })
  await t.test('shows no number for a person who hides it, whose LID can still be asked for', async (t) => {
    const { participants } = await sock.groupMetadata(whatsapp.group)
    const shown = participants.find(({ id }) => id === `${hidden.lid}@lid`)
    t.ok(shown)
    t.equal(shown?.phoneNumber, undefined)
    t.equal(await sock.signalRepository.lidMapping.getLIDForPN(`${hidden.number}@s.whatsapp.net`), `${hidden.lid}@lid`)
  })
  await t.test('of a group by number names people by number, with their LIDs', async (t) => {
    whatsapp.setAddressing('pn')
    const { addressingMode, participants } = await sock.groupMetadata(whatsapp.group)
    t.equal(addressingMode, 'pn')
    t.match(participants.find(({ id }) => id === `${one}@s.whatsapp.net`), { lid: `${whatsapp.person(one).lid}@lid` })
    whatsapp.setAddressing('lid')
  })
  await t.test('can come back empty, or shrunken', async (t) => {
    whatsapp.knobs.rosterLimit = 0
    t.same((await sock.groupMetadata(whatsapp.group)).participants, [])
    whatsapp.knobs.rosterLimit = 3
    t.equal((await sock.groupMetadata(whatsapp.group)).participants.length, 3)
    whatsapp.resetKnobs()
    t.equal((await sock.groupMetadata(whatsapp.group)).participants.length, 8)
  })
  await t.test('is refused with the code that was set, so many times', async (t) => {
    for (const code of [403, 404, 429]) {
      whatsapp.knobs.groupQueryError = { code, remaining: 1 }
      t.equal(await refusal(sock.groupMetadata(whatsapp.group)), code)
    }
    await sock.groupMetadata(whatsapp.group)
  })
  await t.test('of a group nobody knows is refused with 404', async (t) => {
    t.equal(await refusal(sock.groupMetadata('120363999999999999@g.us')), 404)
  })
  await t.test('is among those of all groups', async (t) => {
    whatsapp.addGroup('120363000000000002@g.us', 'Another')
    t.same(Object.keys(await sock.groupFetchAllParticipating()).toSorted(), ['120363000000000001@g.us', '120363000000000002@g.us'])
  })
})

void t.test('a number', async (t) => {
  const whatsapp = await double(t)
  whatsapp.addPerson({ number: '5511900000001', dialled: ['55119900000001'] })
  whatsapp.addPerson({ number: '15550000009', isOnWhatsApp: false })
  const { sock } = await open(t, whatsapp)
  t.same(await sock.onWhatsApp(one), [{ jid: `${one}@s.whatsapp.net`, exists: true }], 'is on WhatsApp')
  t.same(await sock.onWhatsApp('55119900000001'), [{ jid: '5511900000001@s.whatsapp.net', exists: true }], 'is found by what people dial')
  t.notOk((await sock.onWhatsApp('15550000009'))?.some(({ exists }) => exists), 'is not on WhatsApp')
  t.notOk((await sock.onWhatsApp('15550000001'))?.some(({ exists }) => exists), 'is unknown')
  t.equal(await sock.signalRepository.lidMapping.getLIDForPN(`${visitor}@s.whatsapp.net`), `${whatsapp.person(visitor).lid}@lid`, 'has a LID')
})

void t.test('what happens in the group', async (t) => {
  const whatsapp = await double(t)
  const { sock, next, seen } = await open(t, whatsapp)
  const lidOf = (number: string) => `${whatsapp.person(number).lid}@lid`
  const owner = lidOf('6281299999991')

  await t.test('a person who joins by the link is their own author', async (t) => {
    t.equal(whatsapp.join(visitor), true)
    const { author, participants } = await next('group-participants.update', ({ action }) => action === 'add')
    t.match({ author, participants }, { author: lidOf(visitor), participants: [{ id: lidOf(visitor), phoneNumber: `${visitor}@s.whatsapp.net` }] })
    t.equal(whatsapp.join(visitor), false, 'and cannot join twice')
  })
  await t.test('a person who leaves is their own author', async (t) => {
    whatsapp.leave(one)
    const { author, participants } = await next('group-participants.update', ({ action }) => action === 'remove')
    t.same([author, ids(participants)], [lidOf(one), [lidOf(one)]])
    t.equal((await sock.groupMetadata(whatsapp.group)).participants.some(({ id }) => id === lidOf(one)), false)
  })
  await t.test('who is removed was removed by the owner, several at once', async (t) => {
    whatsapp.remove([two, '6281200000003'])
    const { author, participants } = await next('group-participants.update', (event) => event.action === 'remove' && event.author === owner)
    t.same([author, ids(participants)], [owner, [lidOf(two), lidOf('6281200000003')]])
  })
  await t.test('promotions and demotions are told', async (t) => {
    whatsapp.promote('6281200000004')
    t.same(ids((await next('group-participants.update', ({ action }) => action === 'promote')).participants), [lidOf('6281200000004')])
    whatsapp.demote('6281200000004')
    t.same(ids((await next('group-participants.update', ({ action }) => action === 'demote')).participants), [lidOf('6281200000004')])
  })
  await t.test('a change of number keeps the LID and is only in the raw stanza', async (t) => {
    const raw = new Promise<BinaryNode>((resolve) => { sock.ws.on('CB:notification,type:w:gp2,modify', resolve) })
    whatsapp.changeNumber('6281200000005', '6281400000099')
    t.match(await raw, { content: [{ tag: 'modify', content: [{ attrs: { jid: lidOf('6281400000099'), phone_number: '6281400000099@s.whatsapp.net' } }] }] })
  })
  await t.test('leaves can be told about people who stay', async (t) => {
    whatsapp.pretendDepartures([visitor, '6281200000004'], 'pn')
    await next('group-participants.update', ({ action, participants }) => action === 'remove' && participants[0]?.id === `${visitor}@s.whatsapp.net`)
    t.equal(whatsapp.isMember(visitor), true)
    t.ok((await sock.groupMetadata(whatsapp.group)).participants.some(({ id }) => id === lidOf(visitor)))
  })
  await t.test('in a group by number, people are named by number', async (t) => {
    whatsapp.setAddressing('pn')
    whatsapp.leave(visitor)
    const { author } = await next('group-participants.update', (event) => event.action === 'remove' && event.author === `${visitor}@s.whatsapp.net`)
    t.ok(author)
    whatsapp.setAddressing('lid')
  })
  await t.test('notifications can be lost', async (t) => {
    const before = seen.length
    whatsapp.knobs.notifications = 'lose'
    whatsapp.join(one)
    whatsapp.resetKnobs()
    await sock.groupMetadata(whatsapp.group)
    t.equal(seen.slice(before).some((event) => event['group-participants.update']?.action === 'add'), false)
  })
  await t.test('a hint that the groups are dirty makes the client fetch them', async (t) => {
    whatsapp.sayGroupsDirty()
    const [group] = await next('groups.update')
    t.equal(group?.id, whatsapp.group)
    await whatsapp.until('cleaned', () => whatsapp.counters['iq urn:xmpp:whatsapp:dirty set clean'] === 1)
  })
  await t.test('the bot hears that it was removed, then nothing, then that it was added', async (t) => {
    whatsapp.remove(whatsapp.botNumber)
    const bot = lidOf(whatsapp.botNumber)
    await next('group-participants.update', ({ action, participants }) => action === 'remove' && participants[0]?.id === bot)
    t.equal(await refusal(sock.groupMetadata(whatsapp.group)), 403)
    const before = seen.length
    whatsapp.join(two)
    whatsapp.join(whatsapp.botNumber, 'admin')
    t.match(await next('groups.upsert'), [{ id: whatsapp.group }])
    t.equal(seen.slice(before).some((event) => event['group-participants.update']?.action === 'add'), false)
  })
})

void t.test('what happened while the bot was away', async (t) => {
  const whatsapp = await double(t)
  const auth = authOf(whatsapp.createLinkedSession())
  const first = await open(t, whatsapp, auth)
  void first.sock.end(undefined)
  await whatsapp.until('offline', () => whatsapp.connected().length === 0)
  whatsapp.join(visitor)
  whatsapp.leave(one)
  await whatsapp.say(two, 'are you there?')

  const { next } = connect(t, whatsapp, auth)
  await next('connection.update', ({ receivedPendingNotifications }) => receivedPendingNotifications === true)
  t.ok(await next('group-participants.update', ({ action }) => action === 'add'), 'a join is told at the next login')
  t.ok(await next('group-participants.update', ({ action }) => action === 'remove'), 'so is a leave')
  const { type } = await next('messages.upsert', ({ messages }) => messages.some(({ message }) => message?.conversation === 'are you there?'))
  t.equal(type, 'append', 'a message arrives, marked as old')
  await whatsapp.until('confirmed', () => whatsapp.linked()[0]?.queued === 0)
  t.pass('and is not told again once confirmed')
})

void t.test('held notifications arrive at the next login', async (t) => {
  const whatsapp = await double(t)
  const auth = authOf(whatsapp.createLinkedSession())
  await open(t, whatsapp, auth)
  whatsapp.knobs.notifications = 'hold'
  whatsapp.join(visitor)
  t.equal(whatsapp.linked()[0]?.queued, 1)
  const { next } = connect(t, whatsapp, auth)
  t.ok(await next('group-participants.update', ({ action }) => action === 'add'))
})
