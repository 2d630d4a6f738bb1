import type { Static } from 'typebox'
import type { TemplateOffers } from '../../../contracts/http.ts'
import type { Language } from '../../../contracts/ids.ts'
import type { Messages } from '../../common/phrases.ts'
import { html, type Html } from '../html.ts'
import type { Refusal } from '../refusal.ts'
import { inLanguage, layout } from './layout.ts'

/** What the visitor has typed, kept when the form is shown again. */
export interface FormValues { readonly wa_number_e164: string, readonly username: string, readonly template: string, readonly idempotency_key: string }

export interface FormPage {
  readonly messages: Messages
  readonly language: Language
  readonly chosenLanguage: Language | undefined
  readonly offers: Static<typeof TemplateOffers>['templates']
  readonly inviteUrl: string | undefined
  readonly values: FormValues
  readonly refused?: { readonly refusal: Refusal, readonly words: string }
}

export function formPage ({ messages, language, chosenLanguage, offers, inviteUrl, values, refused }: FormPage): Html {
  const say = (key: string): string => messages.say(language, `page.${key}`)
  const wrong = fieldOf(refused?.refusal)
  const describedBy = (field: string): Html => wrong === field ? html` aria-invalid="true" aria-describedby="${field}-error ${field}-hint"` : html` aria-describedby="${field}-hint"`
  const error = (field: string): Html | false => wrong === field && refused !== undefined && html`<p class="error" id="${field}-error">${refused.words}</p>`
  const textField = (field: 'wa_number_e164' | 'username', name: string, attributes: Html): Html => html`
<div class="field">
<label for="${field}">${say(`${name}_label`)}</label>
<p class="hint" id="${field}-hint">${say(`${name}_hint`)}</p>
${error(field)}
<input id="${field}" name="${field}" value="${values[field]}" required${attributes}${describedBy(field)}>
</div>`
  return layout({
    messages, language, title: refused ? `${say('error_title')}: ${say('form_title')}` : say('form_title'), path: '/',
    main: html`
<h1>${say('form_title')}</h1>
<p>${say('form_intro')}</p>
${inviteUrl !== undefined && refused?.refusal.code !== 'NOT_MEMBER' && html`<p>${say('not_member_yet')} <a href="${inviteUrl}" rel="noopener">${say('join_group')}</a></p>`}
${refused && html`
<section class="summary" role="alert" aria-labelledby="summary-title" tabindex="-1" autofocus>
<h2 id="summary-title">${say('error_title')}</h2>
<p>${wrong === undefined ? refused.words : html`<a href="#${wrong === 'template' ? `template-${offers[0]?.name ?? ''}` : wrong}">${refused.words}</a>`}</p>
${refused.refusal.code === 'NOT_MEMBER' && inviteUrl !== undefined && html`<p><a href="${inviteUrl}" rel="noopener">${say('join_group')}</a></p>`}
${refused.refusal.details.claimId !== undefined && html`<p><a href="${inLanguage(`/claim/${refused.refusal.details.claimId}`, chosenLanguage)}">${say('see_claim')}</a></p>`}
</section>`}
<form method="post" action="${inLanguage('/', chosenLanguage)}">
<input type="hidden" name="idempotency_key" value="${values.idempotency_key}">
${textField('wa_number_e164', 'number', html` type="tel" inputmode="tel" autocomplete="tel" maxlength="32"`)}
${textField('username', 'username', html` type="text" autocomplete="username" autocapitalize="none" spellcheck="false" minlength="3" maxlength="60"`)}
<fieldset class="field"${wrong === 'template' && html` aria-describedby="template-error"`}>
<legend>${say('template_label')}</legend>
${error('template')}
${offers.map(({ name, title, description }) => html`
<div class="card"><input type="radio" id="template-${name}" name="template" value="${name}" required${values.template === name && html` checked`}>
<label for="template-${name}"><strong>${title}</strong><span>${description}</span></label></div>`)}
</fieldset>
<p class="hint">${say('password_note')}</p>
<p class="hint">${say('privacy_note')}</p>
<button type="submit">${say('submit')}</button>
</form>`,
  })
}

const FIELDS = ['wa_number_e164', 'username', 'template']

/** Which input the visitor should look at. */
function fieldOf (refusal: Refusal | undefined): string | undefined {
  return FIELDS.find((field) => field === refusal?.details.field)
}
