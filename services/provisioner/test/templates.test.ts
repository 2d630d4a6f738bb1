import t from 'tap'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { listClaims } from '../../../contracts/requests.ts'
import { startPanel } from '../../../deploy/staging/panel/panel.ts'
import { answering } from '../../common/bus.ts'
import { templateOf, type TemplateDefinition } from '../../common/templates.ts'
import { checkEgg } from '../template-check.ts'
import { panelCall, ready, shippedTemplates, world } from './harness.ts'

t.test('the templates of a provisioner', async (t) => {
  const w = await world(t)
  const change = (fields: Partial<TemplateDefinition>): void => {
    Object.assign(w.templates['nodejs'] ?? {}, fields)
    w.saveTemplates()
  }
  await (await w.provisioner()).stop()
  const older = { template_version: 1 }
  await (await w.provisioner()).stop()
  t.pass('may stay as they are')

  change({ startup: 'node other.js' })
  await t.rejects(w.provisioner(), { code: 'TEMPLATE_CHANGED', kind: 'permanent', message: /nodejs: version 1 .* new version \(2\)/ }, 'may not change under the same version')
  change({ version: 2 })
  const provisioner = await w.provisioner()
  const [before, after] = [await w.request(older), await w.request({ template_version: 2 })]
  const startupOf = async (claim: { claim_id: string }) => ((await panelCall(w.panel, 'GET', `/servers/${ready(await w.ended(claim.claim_id)).server_id}`)).attributes['container'] as { startup_command: string }).startup_command
  t.match(await startupOf(before), /MAIN_FILE/, 'a claim is built from the version that it was accepted with')
  t.equal(await startupOf(after), 'node other.js')
  await provisioner.stop()

  change({ ...shippedTemplates()['nodejs'], version: 1 })
  await t.rejects(w.provisioner(), { code: 'TEMPLATE_VERSION_BACK', message: /give it version 3/ }, 'may not go back')
  change({ version: 3 })
  delete w.templates['python']
  w.saveTemplates()
  const alone = await w.provisioner()
  t.equal(await alone.checks['templates']?.(), 'ok', 'may go while claim-store cannot say whether they are used: work goes on and the question is asked again')
  await alone.stop()

  let template = 'python'
  await w.claimStore.respond([answering(listClaims, async ({ status }) => ({
    ok: true as const,
    claims: status !== 'active'
      ? []
      : [{
          claim_id: before.claim_id, wa_jid: before.wa_jid, status: 'active' as const, user_id: 5, server_id: 5, allocation_id: 5, deletion_scheduled_at: null, delete_job_id: null,
          created_at: '2026-01-01T00:00:00Z', updated_at: '2026-01-01T00:00:00Z', last_event_at: '2026-01-01T00:00:00Z', member_id: before.member_id, template,
        }],
  }))])
  await t.rejects(w.provisioner(), { code: 'TEMPLATE_IN_USE' }, 'may not go while a claim uses them')
  template = 'nodejs'
  await (await w.provisioner()).stop()
  t.pass('may go when none does')
  change({ egg: 0 })
  await t.rejects(w.provisioner(), { code: 'TEMPLATES_INVALID', message: /nodejs: egg/ })
})

t.test('scripts/check-templates', async (t) => {
  const panel = await startPanel()
  t.teardown(() => panel.close())
  const file = join(t.testdir({}), 'templates.json')
  const check = async (templates: object, env: object = {}): Promise<{ code: number, output: string }> => await new Promise((resolve) => {
    writeFileSync(file, JSON.stringify({ templates }))
    execFile(process.execPath, [join(import.meta.dirname, '../../../scripts/check-templates.ts'), file], { env: { ...process.env, PANEL_URL: panel.url, PANEL_KEY: panel.applicationKey, ...env } }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr })
    })
  })
  const templates = shippedTemplates()
  const good = await check(templates)
  t.equal(good.code, 0, 'is content with the templates that are shipped')
  t.match(good.output, /✓ nodejs: egg 15 of nest 5 is "node.js generic"\n✓ .*\n✓ nodejs: all 10 variables of the egg are given\n✓ nodejs: node 1 .* 50 of 50 ports free/)
  const { MAIN_FILE: _, ...environment } = templates['nodejs']?.environment ?? {}
  const bad = await check({ nodejs: { ...templates['nodejs'], image: 'ghcr.io/elsewhere/image', environment: { ...environment, USER_UPLOAD: '2', NO_SUCH: '' }, nodes: [1, 9] }, python: { ...templates['python'], nest: 1 } })
  t.equal(bad.code, 1)
  for (const line of [/✗ nodejs: the image/, /✗ nodejs: environment.MAIN_FILE is missing/, /✗ nodejs: environment.USER_UPLOAD breaks the rule boolean/, /✗ nodejs: environment.NO_SUCH is no variable/, /✗ nodejs: the panel has no node 9/, /✗ python: the panel has no egg 16 in nest 1/]) t.match(bad.output, line)
  t.match(await check({ nodejs: { ...templates['nodejs'], egg: 'x' } }), { code: 1, output: /nodejs: egg/ }, 'reads the file first')
  t.match(await check(templates, { PANEL_KEY: '' }), { code: 78, output: /PANEL_KEY is missing/ })
  t.match(await check(templates, { PANEL_KEY: panel.keys.plainUser }), { code: 78, output: /PANEL_KEY_REFUSED/ })
  t.equal(panel.state().servers.length, 0)
})

t.test('the rules of an egg, as far as they can be seen', async (t) => {
  const check = (rules: string, value: string): boolean => checkEgg(templateOf('x', { ...shippedTemplates()['nodejs'] as TemplateDefinition, image: 'i', environment: { A: value } }), { name: 'e', images: ['i'], variables: [{ name: 'A', rules }] }).every(({ isFine }) => isFine)
  for (const [rules, value, expected] of [
    ['required|string', '', false], ['nullable|string', '', true], ['required|string|max:3', 'abcd', false], ['required|integer|between:1,65535', '{{port}}', true],
    ['required|integer|max:100', '101', false], ['required|in:a,b', 'c', false], ['required|boolean', '1', true], ['required|regex:/^([\\w\\d._-]+)(\\.jar)$/', 'server.jar', true],
    ['required|regex:/^([\\w\\d._-]+)(\\.jar)$/', 'server.zip', false], ['required|regex:/(?<x>[[:alpha:]]+)(?#y)/', 'a', true], ['required|unheard_of:3', 'a', true],
  ] as const) t.equal(check(rules, value), expected, `${rules} of "${value}"`)
})
