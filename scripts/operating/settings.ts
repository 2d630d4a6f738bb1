// The settings of a script that is called without the program's options (program.ts): where they are wrong it says so and does nothing.
import type { Static, TObject } from 'typebox'
import { loadConfig } from '../../services/common/config.ts'

/** As sysexits.h has it: EX_CONFIG. */
export const SETTINGS_WRONG = 78

/** Does `work` by what `env` says; answers its exit code. Where variables are missing or wrong, `print` names each of them, and it answers 78. */
export async function withSettings<Schema extends TObject> (
  schema: Schema, env: Readonly<Record<string, string | undefined>>, print: (line: string) => void, work: (settings: Readonly<Static<Schema>>) => Promise<number>,
): Promise<number> {
  let settings
  try {
    settings = loadConfig(schema, env)
  } catch (error) {
    print((error as Error).message)
    return SETTINGS_WRONG
  }
  return await work(settings)
}
