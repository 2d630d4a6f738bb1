// Finds every `await` of a module and lets a probe see it pass: `await x` becomes `await probe.settling(probe.reached(7), x)`. Pure. Lines stay
// where they are, and so do statements: what begins with `await` still does, so that nothing is glued to the line before it.
import { parse, type AwaitExpression, type ForOfStatement } from 'acorn'
import { full } from 'acorn-walk'

/** The name under which the probe stands on `globalThis`. */
export const PROBE = 'crashProbe'

export interface Instrumented { readonly code: string, /** `<file>:<line>:<column>`, by the number that the code names. */ readonly sites: readonly string[] }

/** `source` is JavaScript: TypeScript whose types were replaced by blanks, so that positions are those of the file. Sites are numbered from `first`. */
export function instrument (source: string, file: string, first: number): Instrumented {
  const sites: string[] = []
  const insertions: Array<{ readonly at: number, readonly text: string, /** Of two at one place the inner one ends first. */ readonly began: number }> = []
  const name = ({ line, column }: { line: number, column: number }): number => {
    sites.push(`${file}:${line}:${column + 1}`)
    return first + sites.length - 1
  }
  const found: Array<AwaitExpression | ForOfStatement> = []
  full(parse(source, { ecmaVersion: 'latest', sourceType: 'module', locations: true }), (node) => {
    if (node.type === 'AwaitExpression' || (node.type === 'ForOfStatement' && (node as ForOfStatement).await)) found.push(node as AwaitExpression | ForOfStatement)
  })
  for (const node of found.toSorted((one, other) => one.start - other.start)) {
    const site = name((node.loc as NonNullable<typeof node.loc>).start)
    if (node.type === 'AwaitExpression') {
      insertions.push({ at: node.start + 'await'.length, text: ` ${PROBE}.settling(${PROBE}.reached(${site}),`, began: node.start })
      insertions.push({ at: node.end, text: ')', began: node.start })
    } else {
      // The loop's body in a block of its own. It begins outside whatever begins at the same place.
      insertions.push({ at: node.body.start, text: `{${PROBE}.settled(${PROBE}.reached(${site}));`, began: Infinity })
      insertions.push({ at: node.body.end, text: '}', began: node.start })
    }
  }
  let code = ''
  let copied = 0
  for (const { at, text } of insertions.toSorted((one, other) => one.at - other.at || other.began - one.began)) {
    code += source.slice(copied, at) + text
    copied = at
  }
  return { code: code + source.slice(copied), sites }
}
