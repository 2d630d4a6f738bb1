// The files of secrets, as scripts/secrets looks at them.
import { inspect, type Inspected } from '../../deploy/secrets/inspection.ts'
import { defineCheck, verdictOf, type Finding } from './check.ts'

export const secretsFiles = defineCheck('secrets-files', ['SECRETS_DIRECTORY'], async (world) => judgeFiles(inspect(world.directory())))

export function judgeFiles (inspected: readonly Inspected[]): Finding {
  const rotated = inspected.filter(({ isRotated }) => isRotated).map(({ what }) => what)
  return verdictOf(
    inspected.flatMap(({ what, problem }) => problem === null ? [] : [`${what} ${problem}`]), `${inspected.length} files are there, and nobody else may read them`,
    'what stands there; a missing one is made by scripts/secrets create', rotated.length > 0 ? [`${rotated.join(', ')}: a rotation has begun`] : [],
  )
}
