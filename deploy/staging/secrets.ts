// A full set of secrets for a staging system, made as for production; but the key of the panel's double is made here, since nobody makes it there.
import { randomBytes } from 'node:crypto'
import { secretOf, secretsFor, type SecretName } from '../secrets/catalogue.ts'
import { createMissing } from '../secrets/creation.ts'
import { makeDirectory } from '../secrets/directory.ts'

export interface StagingSecrets {
  /** `NAME_FILE` variables for a service. */
  envFor (service: string): Record<string, string>
  /** As it is now: a secret may be rotated while the system runs. */
  value (name: SecretName): string
}

/** Makes what is missing below `path` and keeps what is there. */
export function stagingSecrets (path: string): StagingSecrets {
  const directory = makeDirectory(path)
  createMissing(directory)
  const { file: panelKey } = secretOf('PANEL_KEY')
  if (!directory.has(panelKey)) directory.write(panelKey, newPanelKey())
  return {
    envFor: (service) => Object.fromEntries(secretsFor(service).filter(({ file }) => directory.has(file)).map(({ variable, file }) => [`${variable}_FILE`, directory.at(file)])),
    value: (name) => directory.text(secretOf(name).file),
  }
}

/** In the form of the panel's own: `ptla_` and 43 letters or digits. */
export const newPanelKey = (): string => `ptla_${randomBytes(64).toString('base64').replaceAll(/[^A-Za-z0-9]/g, '').slice(0, 43)}`
