// RUNBOOK.md as a tired person uses it: places with titles, references to them, and commands.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')
export const runbook = readFileSync(join(ROOT, 'RUNBOOK.md'), 'utf8')

/** Blocks of code, also below a step of a list. */
const FENCED = /^( *)```([^\n]*)\n([^]*?)^\1```$/gm
export const withoutBlocks = (document: string): string => document.replaceAll(FENCED, '')

/** What can be referred to: headings, and the bold words with which a paragraph begins. */
export function titlesIn (document: string): Set<string> {
  const text = withoutBlocks(document)
  const headings = [...text.matchAll(/^#+ (.+?)(?: \(`.*`\))?$/gm)]
  const runIn = [...text.matchAll(/^(?:<a id="[^"]+"><\/a>)?\*\*(.+?)\.?\*\*/gm)]
  return new Set([...headings, ...runIn].map(([, title = '']) => title))
}

/** Words in italics that are no label of a list (`*Brake:*`). */
export function italicsIn (document: string): string[] {
  const text = withoutBlocks(document).replaceAll(/`[^`\n]*`/g, '')
  return [...new Set([...text.matchAll(/(?<![*\w])\*([^*\n]+[^*\n:])\*(?![*\w])/g)].map(([, words = '']) => words))]
}

/** Addresses of links. */
export const linksIn = (document: string): string[] => [...new Set([...withoutBlocks(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, address = '']) => address))]

/** Where a link may lead: anchors, and headings as GitHub and GitLab name them. */
export function placesIn (document: string): Set<string> {
  const text = withoutBlocks(document)
  const anchors = [...text.matchAll(/<a id="([^"]+)">/g)].map(([, id = '']) => id)
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase().replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-'))
  return new Set([...anchors, ...headings])
}

export interface Command {
  readonly text: string
  /** The nearest title above it. */
  readonly under: string
  /** It begins a numbered step. */
  readonly isStep: boolean
}

/** Every piece of code, in the order of the document: in a line of text, or a line of a block of shell. What a block is to be saved as (`sh file`) is not in it. */
export function codeIn (document: string): Command[] {
  let under = ''
  return document.split(/\n\n(?=\S)|(?=^\d+\. |^- |^\| )/m).flatMap((block) => {
    under = [...titlesIn(block)].at(-1) ?? under
    const inText = [...withoutBlocks(block).matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replaceAll('\\|', '|').replaceAll('\n', ' '))
    const inBlocks = [...block.matchAll(FENCED)].flatMap(([, , language, lines = '']) => language === 'sh' ? lines.split('\n') : []).map((line) => line.replace(/\s+# .*/, '').trim()).filter((line) => line !== '')
    const begins = /^\d+\. `([^`]+)`/.exec(block)?.[1]
    return [...inText, ...inBlocks].map((text) => ({ text, under, isStep: text === begins }))
  })
}

/** The block of code below a title that is of this language: a file to be written as it stands. */
export const fileBelow = (document: string, title: string, language: string): string => {
  const [, after = ''] = document.split(`**${title}**`)
  const [, indent = '', , text = ''] = [...after.matchAll(FENCED)].find(([, , is]) => is === language) ?? []
  return text.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
}
