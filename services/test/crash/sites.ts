// Finds every `await` of a module and lets a probe see it pass: `await x` becomes `await probe.settling(probe.reached(site), x)`. Pure. Lines stay
// where they are, and so do statements: what begins with `await` still does, so that nothing is glued to the line before it.
import { parse, type AwaitExpression, type ForOfStatement } from 'acorn'
import { full } from 'acorn-walk'

/** The name under which the probe stands on `globalThis`. */
export const PROBE = 'crashProbe'

/** What the rewritten code calls; a site is `<file>:<line>:<column>`. */
export interface Probe {
  /** What is awaited is about to be begun. Answers the site. */
  readonly reached: (site: string) => string
  /** Answers `value`, and sees when it has come to its end. */
  readonly settling: (site: string, value: unknown) => unknown
  /** A round of a loop over promises has come. */
  readonly settled: (site: string) => void
}

export interface Instrumented { readonly code: string, readonly sites: readonly string[] }

/** `source` is JavaScript: TypeScript whose types were replaced by blanks, so that positions are those of the file. */
export function instrument (source: string, file: string): Instrumented {
  const sites: string[] = []
  const insertions: Array<{ readonly at: number, readonly text: string, /** Of two at one place the inner one ends first. */ readonly began: number }> = []
  const found: Array<AwaitExpression | ForOfStatement> = []
  full(parse(source, { ecmaVersion: 'latest', sourceType: 'module', locations: true }), (node) => {
    if (node.type === 'AwaitExpression' || (node.type === 'ForOfStatement' && (node as ForOfStatement).await)) found.push(node as AwaitExpression | ForOfStatement)
  })
  for (const node of found.toSorted((one, other) => one.start - other.start)) {
    const { line, column } = (node.loc as NonNullable<typeof node.loc>).start
    const name = `${file}:${line}:${column + 1}`
    sites.push(name)
    const site = JSON.stringify(name)
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
