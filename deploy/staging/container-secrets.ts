// As deploy/containers/secrets.ts, for staging: the panel is its double, so that its key can be made here; and so is WhatsApp, so that the canary has an account.
import { DIRECTORY, makeAndHandOut } from '../containers/secrets.ts'
import { secretOf } from '../secrets/catalogue.ts'
import { makeDirectory } from '../secrets/directory.ts'
import { stagingSecrets } from './secrets.ts'

/** The last member of the group in docker-compose.yml: who tries Klaim out begins with the first. */
const CANARY_NUMBER = '6281200000013'

stagingSecrets(DIRECTORY)
const directory = makeDirectory(DIRECTORY)
const { file } = secretOf('CANARY_NUMBER')
if (!directory.has(file)) directory.write(file, CANARY_NUMBER)
process.exitCode = makeAndHandOut(process.env)
