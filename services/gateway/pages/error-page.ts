import type { Language } from '../../../contracts/ids.ts'
import type { Messages } from '../../common/phrases.ts'
import { html, type Html } from '../html.ts'
import type { Refusal } from '../refusal.ts'
import { layout } from './layout.ts'

export function errorPage ({ messages, language, refusal, words }: { messages: Messages, language: Language, refusal: Refusal, words: string }): Html {
  return layout({
    messages, language, title: messages.say(language, 'page.error_title'),
    main: html`
<h1>${messages.say(language, 'page.error_title')}</h1>
<p role="status" class="news failed">${words}</p>
<p class="hint"><code>${refusal.code}</code></p>
<p><a class="button" href="/?lang=${language}">${messages.say(language, 'page.home')}</a></p>`,
  })
}
