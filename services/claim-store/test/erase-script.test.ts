// scripts/erase, as an operator runs it.
import t from 'tap'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { eraseMember } from '../../../contracts/requests.ts'
import { answering, createBus } from '../../common/bus.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'

const claim_id = '11111111-1111-4111-8111-111111111111'
const member_id = 'abcdefghijklmnopqrst'

t.test('scripts/erase', async (t) => {
  const nats = await startKlaimNats()
  t.teardown(() => nats.close())
  const claimStore = await createBus({ ...nats.playing('claim-store'), log: createLog('claim-store', 'silent', () => {}), metrics: createMetrics('claim-store'), now: () => new Date() })
  t.teardown(() => claimStore.close())
  const asked: object[] = []
  let answer: { ok: true, member_id: string } | { ok: false, rejection: 'NOT_FOUND' | 'HAS_SERVER' } = { ok: true, member_id }
  await claimStore.respond([answering(eraseMember, async (question) => {
    asked.push(question)
    return answer
  })])
  const run = async (args: string[], { stdin = '', url = nats.url } = {}) => await new Promise<{ code: number, said: string }>((resolve) => {
    const child = execFile(process.execPath, [join(import.meta.dirname, '../../../scripts/erase.ts'), ...args], { env: { ...process.env, ...nats.env('operator'), NATS_URL: url, SUDO_USER: 'somebody' } }, (error, stdout) => {
      resolve({ code: error ? Number(error.code) : 0, said: stdout })
    })
    child.stdin?.end(stdin)
  })

  t.match(await run([claim_id, '--why', 'a letter']), { code: 0, said: `Erased: ${member_id}` }, 'erases by claim')
  t.match(await run([member_id]), { code: 0 }, 'or by member')
  t.match(await run([], { stdin: '0812 0000 0001\n' }), { code: 0 }, 'or by a number that it asks for')
  t.same(asked, [
    { claim_id, by: 'somebody', why: 'a letter' }, { member_id, by: 'somebody', why: 'asked for' }, { wa_jid: '6281200000001@s.whatsapp.net', by: 'somebody', why: 'asked for' },
  ])
  answer = { ok: false, rejection: 'HAS_SERVER' }
  t.match(await run([claim_id]), { code: 2, said: 'There is a server' })
  answer = { ok: false, rejection: 'NOT_FOUND' }
  t.match(await run([claim_id]), { code: 1, said: 'Nothing is stored' })
  const before = asked.length
  for (const args of [['0812 0000 0001'], ['+6281200000001'], [claim_id, member_id], ['--no', 'x']]) t.equal((await run(args)).code, 64, `${args.join(' ')} is refused`)
  t.equal((await run([], { stdin: 'nobody\n' })).code, 64)
  t.match(await run([]), { code: 64, said: '' }, 'nothing is no number')
  t.equal(asked.length, before)
  await claimStore.close()
  t.match(await run([claim_id]), { code: 69, said: 'CLAIM_STORE_AWAY' }, 'says when claim-store is away')
})
