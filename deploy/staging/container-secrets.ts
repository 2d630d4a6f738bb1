// As deploy/containers/secrets.ts, for staging: the panel is its double, so that its key can be made here.
import { DIRECTORY, makeAndHandOut } from '../containers/secrets.ts'
import { stagingSecrets } from './secrets.ts'

stagingSecrets(DIRECTORY)
process.exitCode = makeAndHandOut(process.env)
