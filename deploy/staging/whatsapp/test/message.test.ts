import t from 'tap'
import { generateMessageIDV2, proto, type WASocket } from '@whiskeysockets/baileys'
import { authOf, double, open } from './client.ts'

t.teardown(() => { setImmediate(() => process.exit()) })

const [one, two] = ['6281200000001', '6281200000002'] as const

/** Sends and gives the server's verdict: the error of the acknowledgement, 'accepted', or 'silence'. */
async function send (sock: WASocket, jid: string, text: string, id = generateMessageIDV2(sock.user?.id), timeoutMs = 5_000): Promise<string> {
  const verdict = sock.waitForMessage<{ tag: string, attrs: Record<string, string> }>(id, timeoutMs)
  await sock.sendMessage(jid, { text, linkPreview: null }, { messageId: id })
  const answer = await verdict
  return answer ? answer.attrs.error ?? 'accepted' : 'silence'
}

void t.test('a message to a member', async (t) => {
  const whatsapp = await double(t)
  const { sock, next } = await open(t, whatsapp)
  const lid = `${whatsapp.person(one).lid}@lid`
  const texts = () => whatsapp.chat(one).map(({ text }) => text)

  await t.test('is accepted, read, and receipted', async (t) => {
    t.equal(await send(sock, lid, 'first'), 'accepted')
    await whatsapp.until('read', () => texts().includes('first'))
    t.match(whatsapp.deliveries(one), [{ own: true, enc: 'pkmsg' }, { own: false, enc: 'pkmsg', addressing: 'lid', outcome: 'read' }],
      'the account\'s own phone got its copy')
    await whatsapp.until('receipted', () => whatsapp.linked()[0]?.queued === 0)
  })
  await t.test('that answers the bot is decrypted by it', async (t) => {
    await whatsapp.say(one, 'thank you')
    const { messages } = await next('messages.upsert', ({ type }) => type === 'notify')
    t.match(messages[0], { key: { remoteJid: lid, remoteJidAlt: `${one}@s.whatsapp.net` }, message: { conversation: 'thank you' }, pushName: 'Member 1' })
  })
  await t.test('after an answer goes in the established session', async (t) => {
    t.equal(await send(sock, lid, 'second'), 'accepted')
    await whatsapp.until('read', () => texts().includes('second'))
    t.match(whatsapp.deliveries(one).at(-1), { enc: 'msg', outcome: 'read', text: 'second' })
  })
  await t.test('sent twice under one id is delivered twice and seen once', async (t) => {
    const id = generateMessageIDV2(sock.user?.id)
    t.equal(await send(sock, lid, 'once', id), 'accepted')
    t.equal(await send(sock, lid, 'once', id), 'accepted')
    const copies = whatsapp.deliveries(one).filter(({ messageId, own }) => messageId === id && !own)
    t.same(copies.map(({ outcome }) => outcome), ['read', 'duplicate'])
    t.equal(texts().filter((text) => text === 'once').length, 1)
  })
  await t.test('can be sent to a phone number', async (t) => {
    t.equal(await send(sock, `${two}@s.whatsapp.net`, 'by number'), 'accepted')
    t.match(whatsapp.chat(two), [{ text: 'by number', from: 'bot' }])
    t.equal(whatsapp.deliveries(two).at(-1)?.addressing, 'pn')
  })
  await t.test('that is read says so', async (t) => {
    // Receipts that come at once are folded into the client's own message event.
    whatsapp.turnKnobs({ readReceipts: true, receiptDelayMs: 300 })
    await send(sock, lid, 'read me')
    await next('messages.update', (updates) => updates.some(({ update }) => update.status === proto.WebMessageInfo.Status.READ))
    t.pass()
  })
})

void t.test('a member with two devices gets a copy on each', async (t) => {
  const whatsapp = await double(t)
  const { number, lid } = whatsapp.addPerson({ devices: [0, 3], inGroup: true })
  const { sock } = await open(t, whatsapp)
  t.equal(await send(sock, `${lid}@lid`, 'to both'), 'accepted')
  t.same(whatsapp.deliveries(number).filter(({ own }) => !own).map(({ device, outcome }) => [device, outcome]), [[0, 'read'], [3, 'read']])
  t.equal(whatsapp.chat(number).length, 1)
})

void t.test('a message is refused', async (t) => {
  const whatsapp = await double(t)
  const { sock, next } = await open(t, whatsapp)
  const lid = `${whatsapp.person(one).lid}@lid`
  await whatsapp.say(two, 'hi')

  await t.test('with 463, so many times as wanted', async (t) => {
    whatsapp.knobs.refuseSends = { code: 463, remaining: 1 }
    t.equal(await send(sock, lid, 'no'), '463')
    t.match(whatsapp.deliveries(one), [{ outcome: 'refused', error: '463' }])
    t.same(whatsapp.chat(one), [])
    t.equal(await send(sock, lid, 'yes'), 'accepted')
  })
  await t.test('when the person never wrote to the bot', async (t) => {
    whatsapp.turnKnobs({ refuseColdSends: true })
    t.equal(await send(sock, lid, 'cold'), '463')
    t.equal(await send(sock, `${whatsapp.person(two).lid}@lid`, 'warm'), 'accepted')
    whatsapp.resetKnobs()
  })
  await t.test('when it is addressed to a number and LIDs are wanted', async (t) => {
    whatsapp.turnKnobs({ refusePhoneNumberSends: true })
    t.equal(await send(sock, `${one}@s.whatsapp.net`, 'by number'), '463')
    t.equal(await send(sock, lid, 'by lid'), 'accepted')
    whatsapp.resetKnobs()
  })
  await t.test('without the token that the person gave by writing first', async (t) => {
    const forgetful = await open(t, whatsapp)
    whatsapp.turnKnobs({ requireTokens: true })
    const jid = `${whatsapp.person(two).lid}@lid`
    t.equal(await send(forgetful.sock, jid, 'linked later, never got it'), '463')
    t.equal(await send(sock, jid, 'got it'), 'accepted')
    whatsapp.resetKnobs()
  })
  await t.test('to strangers while the account is restricted, which can be asked and is told', async (t) => {
    const until = Math.floor(Date.now() / 1000) + 3600
    t.match(await sock.fetchAccountReachoutTimelock(), { isActive: false })
    whatsapp.turnKnobs({ restrictedUntil: until })
    t.equal(await send(sock, lid, 'cold'), '463')
    t.match(await sock.fetchAccountReachoutTimelock(), { isActive: true, timeEnforcementEnds: new Date(until * 1000) })
    whatsapp.turnKnobs({ restrictedUntil: until + 60 })
    whatsapp.pushReachoutLock()
    const pushed = await next('connection.update', ({ reachoutTimeLock }) => reachoutTimeLock?.timeEnforcementEnds?.getTime() === (until + 60) * 1000)
    t.equal(pushed.reachoutTimeLock?.isActive, true)
  })
})

void t.test('an acknowledgement', async (t) => {
  const whatsapp = await double(t)
  const auth = authOf(whatsapp.createLinkedSession())
  const { sock } = await open(t, whatsapp, auth)
  const lid = `${whatsapp.person(one).lid}@lid`

  await t.test('can come late', async (t) => {
    whatsapp.turnKnobs({ ackDelayMs: 300, deliveryReceipts: false })
    const before = performance.now()
    t.equal(await send(sock, lid, 'late'), 'accepted')
    t.ok(performance.now() - before >= 300)
    whatsapp.resetKnobs()
  })
  await t.test('can never come, though the message was delivered', async (t) => {
    whatsapp.turnKnobs({ acks: false, deliveryReceipts: false })
    t.equal(await send(sock, lid, 'unacknowledged', undefined, 200), 'silence')
    t.equal(whatsapp.chat(one).at(-1)?.text, 'unacknowledged')
    whatsapp.resetKnobs()
  })
  for (const when of ['before-accepting', 'before-ack'] as const) {
    await t.test(`is lost when the connection is cut ${when}, and a resend is seen once`, async (t) => {
      const cut = await open(t, whatsapp, auth)
      const id = generateMessageIDV2(sock.user?.id)
      whatsapp.turnKnobs({ cut: { when, remaining: 1 } })
      await t.rejects(send(cut.sock, lid, when, id))
      t.equal(await cut.closed(), 428)
      t.equal(whatsapp.chat(one).filter(({ text }) => text === when).length, when === 'before-ack' ? 1 : 0)
      const again = await open(t, whatsapp, auth)
      t.equal(await send(again.sock, lid, when, id), 'accepted')
      t.equal(whatsapp.chat(one).filter(({ text }) => text === when).length, 1)
    })
  }
})

void t.test('a message that a device could not read', async (t) => {
  const whatsapp = await double(t)
  const { number, lid } = whatsapp.addPerson({ devices: [0, 3], inGroup: true })
  const { sock, next } = await open(t, whatsapp)

  await t.test('is asked for again and read then', async (t) => {
    whatsapp.turnKnobs({ unreadable: 1 })
    const id = generateMessageIDV2(sock.user?.id)
    await send(sock, `${lid}@lid`, 'again please', id)
    await whatsapp.until('read', () => whatsapp.deliveries(number).some(({ device, outcome, own }) => !own && device === 0 && outcome === 'read'))
    t.equal(whatsapp.chat(number).length, 1)
  })
  await t.test('because the phone is new, is read after new keys were fetched', async (t) => {
    await whatsapp.say(one, 'hello')
    await next('messages.upsert', ({ type }) => type === 'notify')
    const jid = `${whatsapp.person(one).lid}@lid`
    await send(sock, jid, 'old phone')
    whatsapp.reinstall(one)
    await send(sock, jid, 'new phone')
    await whatsapp.until('read on the new phone', () => whatsapp.chat(one).some(({ text }) => text === 'new phone'))
    t.pass()
  })
})

void t.test('a message that the bot could not read is sent again', async (t) => {
  const whatsapp = await double(t)
  const auth = authOf(whatsapp.createLinkedSession())
  const { sock, next } = await open(t, whatsapp, auth)
  await whatsapp.say(one, 'before')
  await next('messages.upsert', ({ messages }) => messages[0]?.message?.conversation === 'before')
  await send(sock, `${whatsapp.person(one).lid}@lid`, 'answer')
  // The bot forgets its session, as after a restore from an old backup.
  const session = `${whatsapp.person(one).lid}_1.0`
  await sock.authState.keys.set({ session: { [session]: null } })
  await whatsapp.say(one, 'after')
  await whatsapp.say(one, 'after that')
  await next('messages.upsert', ({ messages }) => messages.some(({ message }) => message?.conversation === 'after'))
  t.ok(whatsapp.counters['receipt retry'])
})
