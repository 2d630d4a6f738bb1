import type { Static } from 'typebox'
import { ErrorBody, TemplateOffers } from '../../../contracts/http.ts'
import type { Language } from '../../../contracts/ids.ts'
import type { Templates } from '../../common/templates.ts'
import type { App, Gateway } from '../gateway.ts'
import { requestLanguage } from '../request-language.ts'

export const listTemplatesSchema = {
  operationId: 'listTemplates',
  summary: 'What servers are on offer',
  response: { 200: TemplateOffers, '4xx': ErrorBody, '5xx': ErrorBody },
}

export function listTemplates (app: App, { templates, inviteUrl, botNumber, panelUrl }: Gateway): void {
  const links = {
    ...(inviteUrl === undefined ? {} : { group: inviteUrl }),
    ...(botNumber === undefined ? {} : { bot: `https://wa.me/${botNumber}` }),
    ...(panelUrl === undefined ? {} : { panel: panelUrl }),
  }
  app.get('/api/templates', { schema: listTemplatesSchema }, async (request, reply) => {
    const language = requestLanguage(request)
    reply.headers({ 'cache-control': 'no-cache', 'content-language': language })
    return { templates: offersOf(templates, language), links }
  })
}

export function offersOf (templates: Templates, language: Language): Static<typeof TemplateOffers>['templates'] {
  return [...templates.values()].map(({ name, definition: { version, title, description } }) => ({ name, version, title: title[language], description: description[language] }))
}
