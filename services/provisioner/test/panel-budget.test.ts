import t from 'tap'
import { createPanelBudget, type Kind, type Lane, type PanelBudget, type Ticket } from '../panel-budget.ts'

const end = new AbortController()
const never = end.signal
const budgetOf = (changes: object = {}): PanelBudget => createPanelBudget({ concurrency: { server: 2, other: 100 }, windowMs: 60_000, patienceMs: 60_000, now: Date.now, ...changes })

/** Asks for turns and notes who got one, in order. */
function asking (budget: PanelBudget) {
  const granted: Array<{ name: string, ticket: Ticket }> = []
  const refused: string[] = []
  return {
    granted, refused,
    names: async () => { await new Promise(setImmediate); return granted.map(({ name }) => name) },
    ask: (name: string, lane: Lane, kind: Kind = 'other') => { void budget.admit(lane, kind, never).then((ticket) => granted.push({ name, ticket }), () => refused.push(name)) },
  }
}
async function learn (budget: PanelBudget, limit: number, remaining: number): Promise<void> {
  (await budget.admit('delete', 'other', never)).done({ limit, remaining })
}

t.test('creates leave a share to polls, polls to deletions, all of them one to others', async (t) => {
  const budget = budgetOf()
  await learn(budget, 50, 49)
  const { ask, names } = asking(budget)
  for (let call = 0; call < 60; call++) ask('create', 'create')
  t.equal((await names()).length, 39, '10 of 50 are kept from creates')
  for (let call = 0; call < 20; call++) ask('poll', 'poll')
  t.equal((await names()).filter((name) => name === 'poll').length, 7)
  for (let call = 0; call < 20; call++) ask('delete', 'delete')
  t.equal((await names()).filter((name) => name === 'delete').length, 2)
  t.equal(budget.remaining(), 1)
})

t.test('a deletion goes before the creates that came first', async (t) => {
  const budget = budgetOf({ concurrency: { server: 1, other: 1 } })
  await learn(budget, 240, 239)
  const { ask, names, granted } = asking(budget)
  for (const [name, lane] of [['c1', 'create'], ['c2', 'create'], ['p', 'poll'], ['d', 'delete']] as const) ask(name, lane)
  for (let turn = 0; turn < 4; turn++) {
    await names()
    granted.at(-1)?.ticket.done({ limit: 240, remaining: 239 - turn })
  }
  t.same(await names(), ['c1', 'd', 'p', 'c2'])
})

t.test('creates of servers do not hold up other calls, nor more than two at once the panel', async (t) => {
  const budget = budgetOf()
  await learn(budget, 240, 239)
  const { ask, names, granted } = asking(budget)
  for (let call = 0; call < 5; call++) ask('server', 'create', 'server')
  ask('user', 'create')
  t.same(await names(), ['server', 'server', 'user'])
  granted[0]?.ticket.done({ limit: 240, remaining: 230 })
  t.equal((await names()).length, 4)
  granted[0]?.ticket.done({ limit: 240, remaining: 230 })
  t.equal((await names()).length, 4, 'a ticket counts once')
})

t.test('a call that does not go out after all leaves its place to others', async (t) => {
  const budget = budgetOf()
  await learn(budget, 5, 4)
  const { ask, names, granted } = asking(budget)
  for (const name of ['d1', 'd2', 'd3', 'd4']) ask(name, 'delete')
  t.same(await names(), ['d1', 'd2', 'd3'])
  granted[0]?.ticket.unused()
  granted[0]?.ticket.unused()
  t.same(await names(), ['d1', 'd2', 'd3', 'd4'], 'once')
})

t.test('what deletions and polls have not needed of a window goes to creates before it ends', async (t) => {
  let time = 0
  const budget = budgetOf({ now: () => time })
  await learn(budget, 100, 99)
  const { ask, names } = asking(budget)
  for (let call = 0; call < 200; call++) ask('create', 'create')
  t.equal((await names()).length, 79, 'at its begin a fifth is kept')
  time = 32_000
  ask('create', 'create')
  t.equal((await names()).length, 88, 'in its middle half of that')
  time = 60_900
  ask('create', 'create')
  t.equal((await names()).length, 96, 'and at its end only what is for others')
  ask('delete', 'delete')
  t.equal((await names()).length, 97)
})

t.test('a claim that has its account comes before one that has none', async (t) => {
  const budget = budgetOf()
  await learn(budget, 50, 19)
  const { ask, names, granted } = asking(budget)
  for (let call = 0; call < 4; call++) ask('server', 'create', 'server')
  for (let call = 0; call < 20; call++) ask('account', 'create')
  t.same((await names()).toSorted(), [...Array.from({ length: 5 }, () => 'account'), 'server', 'server'], 'of the nine calls that creates have left, two stay for the servers that wait')
  granted.find(({ name }) => name === 'server')?.ticket.done()
  t.equal((await names()).filter((name) => name === 'server').length, 3)
})

t.test('a panel that is away for longer than a window is still asked', async (t) => {
  let time = 0
  const budget = budgetOf({ now: () => time })
  await learn(budget, 5, 4)
  const { ask, names, granted } = asking(budget)
  for (let tries = 1; tries <= 20; tries++) {
    // Longer than it is waited for between two tries.
    time += 20_000
    ask('create', 'create')
    t.equal((await names()).length, tries)
    granted.at(-1)?.ticket.away('PANEL_DOWN')
  }
})

for (const limit of [0, 1, 2]) {
  t.test(`a panel that lets ${limit} calls through in a window is still asked, and a better limit is heard of`, async (t) => {
    let time = 0
    const budget = budgetOf({ now: () => time })
    await learn(budget, limit, 0)
    const { ask, names, granted } = asking(budget)
    ask('create', 'create')
    t.same(await names(), [], 'in this window no more')
    time = 62_000
    ask('create', 'create')
    t.same(await names(), ['create'], 'in the next one')
    granted[0]?.ticket.done({ limit: 240, remaining: 239 })
    t.equal((await names()).length, 2)
  })
}

t.test('the limit is learnt, and others who use it are seen', async (t) => {
  const budget = budgetOf()
  t.equal(budget.remaining(), null)
  await learn(budget, 256, 100)
  t.equal(budget.remaining(), 100)
  await learn(budget, 256, 255)
  t.equal(budget.remaining(), 255, 'a new window of the panel too')
})

t.test('a window ends', async (t) => {
  const budget = budgetOf({ windowMs: 50 })
  await learn(budget, 10, 0)
  const { ask, granted } = asking(budget)
  const from = Date.now()
  ask('create', 'create')
  while (granted.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  t.ok(Date.now() - from >= 1_000, 'a second late, because the panel counts whole seconds')
})

t.test('a 429 holds everybody back for as long as it says', async (t) => {
  const budget = budgetOf()
  const ticket = await budget.admit('create', 'other', never)
  ticket.done({ limit: 10, remaining: 0, retryAfterMs: 150 })
  const { ask, names, granted } = asking(budget)
  const from = Date.now()
  ask('delete', 'delete')
  t.same(await names(), [])
  while (granted.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  t.ok(Date.now() - from >= 145)
})

t.test('while the panel is away', async (t) => {
  const budget = budgetOf({ patienceMs: 1_300 })
  await learn(budget, 240, 239)
  const tickets = await Promise.all([1, 2, 3].map(() => budget.admit('create', 'other', never)))
  for (const ticket of tickets) ticket.away('PANEL_DOWN')
  t.equal(budget.awayBecause(), 'PANEL_DOWN')
  const { ask, names, granted, refused } = asking(budget)
  const waiting = budget.admit('create', 'other', never)
  const stopped = new AbortController()
  const leaving = budget.admit('create', 'other', stopped.signal)
  stopped.abort()
  await t.rejects(leaving, { code: 'STOPPING', kind: 'transient' }, 'who stops does not wait')
  ask('second', 'create')
  const first = await waiting
  t.same(await names(), [], 'one tries after a while, the others wait for what it finds')
  first.away('PANEL_KEY_REFUSED')
  await t.rejects(budget.admit('poll', 'other', never), { code: 'PANEL_KEY_REFUSED', kind: 'transient' }, 'and give up in the end')
  t.same([granted, refused], [[], ['second']])
})

t.test('who still waits is let go', async (t) => {
  end.abort()
  t.pass()
})
