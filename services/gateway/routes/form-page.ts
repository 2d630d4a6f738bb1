// The claim page as plain HTML, which works without JavaScript. It needs no CSRF token: there are no cookies and no session, so a foreign
// page that posts this form gets no right that its author does not have already by posting it from their own machine.
import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { ClaimForm, IdempotencyKey } from '../../../contracts/http.ts'
import { describe, noted } from '../errors.ts'
import type { App, Gateway } from '../gateway.ts'
import { formPage as render, type FormValues } from '../pages/form-page.ts'
import { inLanguage } from '../pages/layout.ts'
import { wordsOf } from '../refusal.ts'
import { chosenLanguage, requestLanguage } from '../request-language.ts'
import { offersOf } from './list-templates.ts'
import { sendFile } from './site-files.ts'

/** The API's form without a password, and with a key made when the form was shown: pressing the button twice finds the same claim. */
const { password: _password, ...fields } = ClaimForm.properties
const PostedForm = Type.Object({ ...fields, idempotency_key: Type.Optional(IdempotencyKey) }, { additionalProperties: false })

export function formPage (app: App, gateway: Gateway): void {
  const { claiming, limits, messages, metrics, templates, inviteUrl, site } = gateway

  function show (request: FastifyRequest, reply: FastifyReply, values: FormValues, error?: unknown): FastifyReply {
    const language = requestLanguage(request)
    const refusal = error === undefined ? undefined : noted(request, error, gateway.log)
    if (refusal) describe(reply, refusal)
    const page = render({
      messages, language, inviteUrl, values,
      chosenLanguage: chosenLanguage(request),
      offers: offersOf(templates, language),
      ...(refusal === undefined ? {} : { refused: { refusal, words: wordsOf(refusal, messages, language, inviteUrl) } }),
    })
    return reply.headers({ 'cache-control': 'no-store', 'content-language': language }).type('text/html; charset=utf-8').send(page.text)
  }

  app.get('/', { config: { page: true } }, async (request, reply) => {
    if (site) return sendFile(request, reply, site.pages[requestLanguage(request)])
    return show(request, reply, { wa_number_e164: '', username: '', template: templates.keys().next().value ?? '', idempotency_key: randomUUID() })
  })

  app.post('/', { config: { page: true }, schema: { body: PostedForm }, attachValidation: true }, async (request, reply) => {
    try {
      await limits.attempt(request)
      if (request.validationError) throw request.validationError
      const { wa_number_e164, username, template, idempotency_key } = request.body
      const claimId = await claiming({
        form: { wa_number_e164, username, template },
        language: requestLanguage(request),
        idempotencyKey: idempotency_key,
        limitNumber: async (waJid) => { await limits.number(request, waJid) },
      })
      request.claimId = claimId
      metrics.claims.inc({ result: 'accepted' })
      return await reply.header('cache-control', 'no-store').redirect(inLanguage(`/claim/${claimId}`, chosenLanguage(request)), 303)
    } catch (error) {
      show(request, reply, keptValues(request.body), error)
      metrics.claims.inc({ result: request.code ?? 'INTERNAL' })
      return await reply
    }
  })
}

const KEPT_LENGTH_MAX = 128

/** Whatever was posted, as text that fits the inputs. */
function keptValues (body: unknown): FormValues {
  const given = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const text = (name: string): string => typeof given[name] === 'string' ? given[name].slice(0, KEPT_LENGTH_MAX) : ''
  return { wa_number_e164: text('wa_number_e164'), username: text('username'), template: text('template'), idempotency_key: text('idempotency_key') || randomUUID() }
}
