// The step from an account to a server on a port. What happens to a create is known only from the panel's answer, and an answer may be
// lost, so that a create is on its way is written down before it is sent.
import type { Step } from '../../contracts/codes.ts'
import { Fault, permanent, transient } from '../common/fault.ts'
import { environmentOf, type Template } from '../common/templates.ts'
import type { Port } from './allocation.ts'
import type { Inventory } from './inventory.ts'
import { afterLostCreate, withoutServer, type Progress } from './provisioning.ts'
import type { PanelServer, Pterodactyl } from './pterodactyl.ts'
import type { TemplateRegister } from './template-register.ts'
import { sleep, stored, type Work } from './work.ts'

export interface CreationOptions {
  readonly panel: Pterodactyl
  readonly inventory: Inventory
  readonly register: TemplateRegister
  readonly lostCreateWaitMs: number
  readonly now: () => number
  readonly save: (work: Work, progress: Progress) => Promise<void>
  readonly note: (work: Work, progress: Progress) => void
  readonly say: (work: Work, step: Step) => void
}

const PORT_TRIES_MAX = 10
/** A create that failed faster than this never reached its node, so its port is clean. */
const REFUSED_MS = 4_000

/** The step may leave things as they were, or only a little clearer: the next round takes it again. */
export function createCreation ({ panel, inventory, register, lostCreateWaitMs, now, save, note, say }: CreationOptions): (work: Work) => Promise<void> {
  async function create (work: Work): Promise<void> {
    if (work.progress.create_sent_at !== undefined) return await settleLostCreate(work)
    const { request: { claim_id, template: name, template_version }, signal } = work
    const template = await register.template(name, template_version)
    const { nodes } = template.definition
    say(work, 'port')
    for (let tries = 0; tries < PORT_TRIES_MAX; tries++) {
      const picked = await inventory.pick(claim_id, nodes, signal)
      if (picked.kind === 'none') {
        if (picked.reason === 'full') throw permanent('NO_FREE_PORT', 'no port is free on the nodes of the template')
        throw transient('NODE_DOWN', 'no node of the template works', { retryAfterMs: Math.max(1_000, inventory.outForMs(nodes)) })
      }
      if (await createOn(work, template, picked.port) === 'settled') return
    }
    throw transient('PORT_RACED', 'every port that was chosen was taken by somebody else', { retryAfterMs: 2_000 })
  }

  /** `next`: another port is to be tried. */
  async function createOn (work: Work, template: Template, picked: Port): Promise<'settled' | 'next'> {
    const { request: { claim_id }, signal } = work
    const { user } = work.progress
    if (!user) return 'settled'
    const port = { id: picked.id, node: picked.node, host: inventory.hostOf(picked, picked.node), port: picked.port }
    const unsent = withoutServer(work.progress)
    const trouble = work.progress.trouble === undefined ? {} : { trouble: work.progress.trouble }
    const sentAt = { at: 0 }
    say(work, 'create')
    let made
    try {
      // The wait for a turn may be long: the account must not be forgotten meanwhile.
      await stored(work)
      made = await panel.createServer({
        claimId: claim_id, name: `${template.name}-${claim_id.slice(0, 8)}`, userId: user.id, template: template.definition,
        environment: environmentOf(template.definition, picked.port), allocationId: picked.id,
      }, async () => {
        // Many wait for their turn; meanwhile the first may have found the node down.
        if (inventory.isOut(picked.node)) throw new NodeOut()
        sentAt.at = now()
        await save(work, { ...unsent, ...trouble, port, create_sent_at: sentAt.at })
      }, signal)
    } catch (error) {
      // Not carried out, so there is nothing to wait for.
      if (sentAt.at !== 0 && !isElsewhere(error)) await save(work, { ...unsent, ...trouble })
      await inventory.release(picked.id, claim_id)
      if (error instanceof NodeOut) return 'next'
      throw error
    }
    const again = async (): Promise<'next'> => {
      await save(work, { ...unsent, ...trouble })
      return 'next'
    }
    switch (made.outcome) {
      case 'created':
        inventory.worked(picked.node)
        if (made.server) adopt(work, template, made.server, sentAt.at)
        return 'settled'
      case 'lost':
        return 'settled'
      case 'port_taken':
        inventory.mark(picked.id, picked.node)
        return await again()
      case 'exists':
      case 'raced':
      case 'node_down': {
        if (made.outcome === 'node_down') inventory.failed(picked.node)
        else inventory.mark(picked.id, picked.node)
        const server = await panel.serverOfClaim(claim_id, 'create', signal)
        if (server) {
          adopt(work, template, server, sentAt.at)
          return 'settled'
        }
        // A create that Wings kept hanging may have left a container that holds the port: it stays reserved for a quarter of an hour.
        if (made.outcome === 'node_down' && now() - sentAt.at < REFUSED_MS) await inventory.release(picked.id, claim_id)
        return await again()
      }
      case 'user_gone': {
        const { user: _, ...rest } = unsent
        await inventory.release(picked.id, claim_id)
        await save(work, { ...rest, is_password_sure: false })
        return 'settled'
      }
      case 'invalid':
        await inventory.release(picked.id, claim_id)
        await again()
        throw permanent('EGG_INVALID', `the panel refuses what the template ${template.name} asks for`, { cause: made.reason })
      case 'other':
        await again()
        throw made.reason ?? transient('PANEL_DOWN', 'a create was not answered')
    }
  }

  async function settleLostCreate (work: Work): Promise<void> {
    const { request: { claim_id, template: name, template_version }, signal } = work
    const { create_sent_at: sentAt = 0 } = work.progress
    const found = await panel.serverOfClaim(claim_id, 'create', signal)
    const verdict = afterLostCreate(found, sentAt, now(), lostCreateWaitMs)
    if (verdict === 'adopt' && found) return adopt(work, await register.template(name, template_version), found, sentAt)
    if (verdict === 'create_again') return await save(work, withoutServer(work.progress))
    if (typeof verdict === 'object') await sleep(Math.max(50, verdict.waitMs), signal)
  }

  /** That a create was sent is written down, and by that the server is found again. */
  function adopt (work: Work, template: Template, server: PanelServer, madeAt: number): void {
    const { progress } = work
    const { allocation, id, uuid, identifier, userId, eggId, nodeId } = server
    if (userId !== progress.user?.id || eggId !== template.definition.egg) throw permanent('IDENTITY_CONFLICT', 'the server of the claim belongs to somebody else or is of another kind')
    if (!allocation) throw transient('PANEL_DOWN', 'the panel does not show the port of a server')
    note(work, {
      ...withoutServer(progress),
      port: { id: allocation.id, node: nodeId, host: inventory.hostOf(allocation, nodeId), port: allocation.port },
      server: { id, uuid, identifier, made_at: madeAt || now() },
    })
  }

  return create
}

class NodeOut extends Error {}

const isElsewhere = (error: unknown): boolean => error instanceof Fault && error.code === 'CLAIM_ELSEWHERE'
