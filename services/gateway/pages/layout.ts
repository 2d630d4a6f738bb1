import type { Language } from '../../../contracts/ids.ts'
import type { Messages } from '../../common/phrases.ts'
import { html, type Html } from '../html.ts'

export interface Layout {
  readonly messages: Messages
  readonly language: Language
  readonly title: string
  /** Path of this page, for the link to the other language; undefined where there is none to link to. */
  readonly path?: string | undefined
  readonly refreshS?: number | undefined
  readonly main: Html
}

/** Keeps a language that the visitor chose; what the browser prefers needs no parameter. */
export const inLanguage = (path: string, chosen: Language | undefined): string => chosen === undefined ? path : `${path}?lang=${chosen}`

export function layout ({ messages, language, title, path, refreshS, main }: Layout): Html {
  const other: Language = language === 'id' ? 'en' : 'id'
  const name = messages.say(language, 'page.name')
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${refreshS !== undefined && html`<meta http-equiv="refresh" content="${refreshS}">`}
<title>${title} – ${name}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header><a href="/?lang=${language}" class="name">${name}</a>${path !== undefined && html`<a href="${path}?lang=${other}" lang="${other}" hreflang="${other}">${messages.say(language, 'page.other_language')}</a>`}</header>
<main>
${main}
</main>
</body>
</html>
`
}
