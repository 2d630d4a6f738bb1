import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/**
 * A directory that is removed after everything that is torn down later in the code, and so after whoever writes to it has stopped. tap (21.8.0) removes its own
 * `testdir` before the first teardown, and fails where somebody still writes.
 */
export function scratch (t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'klaim-test-'))
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  return path
}
