// How a secret is changed while everything runs. The new value is made beside the old (`<file>.next`), and each phase is told by what the files
// hold, so that a phase may be repeated after a crash on any line, and none can be left out.
//
//   begin   whoever checks, opens or accepts is given both        file: old,new   private keys: old and new
//   switch  whoever sends or seals is given the new one            file: new,old   public key: new
//   finish  the old one is dropped                                 file: new       private keys: new
//
// A key of NATS has three files at most instead, since a service can only be given one: see natsKey below.
//
// After each phase the services that are named must be restarted before the next.
import { secretOf, type SecretName } from './catalogue.ts'
import { randomSecret } from './creation.ts'
import { nextOf, SecretsError, type Directory } from './directory.ts'
import { keySet, keysOf, newKey, publicOf } from './login-keys.ts'
import { previousOf } from './nats-keys.ts'
import { NATS_KEY_OWNERS, newSeed, seedFileOf, type NatsKeyOwner } from './nats-seed.ts'

export type Phase = 'begin' | 'switch' | 'finish'

interface Step {
  readonly restarts: readonly string[]
  /** What is to be done before a service is restarted, and before the next phase. */
  readonly note?: string
  readonly carryOut: (directory: Directory) => void
}
export type Rotation = Readonly<Partial<Record<Phase, Step>>>

/** The first sends, seals or is shown to be used; the others are accepted. */
function pair (variable: SecretName, restarts: Readonly<Partial<Record<Phase, readonly string[]>>>): Rotation {
  const { file } = secretOf(variable)
  const write = (directory: Directory, secrets: readonly string[]): void => { directory.write(file, secrets.join(',')) }
  const state = (directory: Directory): { secrets: string[], next: string } => {
    if (!directory.has(nextOf(file))) throw new SecretsError(`${file} is not being rotated: begin first`)
    return { secrets: directory.text(file).split(',').map((secret) => secret.trim()), next: directory.text(nextOf(file)) }
  }
  return {
    begin: {
      restarts: restarts.begin ?? [],
      carryOut: (directory) => {
        if (!directory.has(nextOf(file))) {
          if (variable !== 'LEDGER_KEYS' && directory.text(file).includes(',')) throw new SecretsError(`${file} already holds two secrets, and there is no ${nextOf(file)} to tell which is new: leave one`)
          directory.write(nextOf(file), randomSecret())
        }
        const { secrets, next } = state(directory)
        if (secrets[0] === next) throw new SecretsError(`${file} is past this phase already`)
        if (!secrets.includes(next)) write(directory, [...secrets, next])
      },
    },
    ...(restarts.switch === undefined ? {} : {
      switch: {
        restarts: restarts.switch,
        carryOut: (directory) => {
          const { secrets, next } = state(directory)
          if (!secrets.includes(next)) throw new SecretsError(`${file} does not hold the new secret yet: begin first`)
          write(directory, [next, ...secrets.filter((secret) => secret !== next)])
        },
      },
    }),
    finish: {
      restarts: restarts.finish ?? [],
      carryOut: (directory) => {
        const { secrets, next } = state(directory)
        const isReady = restarts.switch === undefined ? secrets.includes(next) : secrets[0] === next
        if (!isReady) throw new SecretsError(`${file} still begins with the old secret: the phase before this one is missing`)
        write(directory, [next])
        directory.remove(nextOf(file))
      },
    },
  }
}

function loginKey (): Rotation {
  const privateFile = secretOf('LOGIN_PRIVATE_KEYS').file
  const publicFile = secretOf('LOGIN_PUBLIC_KEY').file
  const nextKey = (directory: Directory) => {
    if (!directory.has(nextOf(privateFile))) throw new SecretsError(`${privateFile} is not being rotated: begin first`)
    const [key] = keysOf(directory.text(nextOf(privateFile)))
    if (!key) throw new SecretsError(`${nextOf(privateFile)} holds no key`)
    return key
  }
  return {
    begin: {
      restarts: ['bot'],
      carryOut: (directory) => {
        if (!directory.has(nextOf(privateFile))) directory.write(nextOf(privateFile), keySet([newKey()]))
        const next = nextKey(directory)
        const keys = keysOf(directory.text(privateFile))
        if (!keys.some(({ kid }) => kid === next.kid)) directory.write(privateFile, keySet([...keys, next]))
      },
    },
    switch: {
      restarts: ['provisioner'],
      carryOut: (directory) => {
        const next = nextKey(directory)
        if (!keysOf(directory.text(privateFile)).some(({ kid }) => kid === next.kid)) throw new SecretsError(`${privateFile} does not hold the new key yet: begin first`)
        directory.write(publicFile, JSON.stringify(publicOf(next)))
      },
    },
    finish: {
      restarts: ['bot'],
      carryOut: (directory) => {
        const next = nextKey(directory)
        const sealsTo = (JSON.parse(directory.text(publicFile)) as { kid?: string }).kid
        if (sealsTo !== next.kid) throw new SecretsError(`${publicFile} is still the old key: the phase before this one is missing`)
        directory.write(privateFile, keySet([next]))
        directory.remove(nextOf(privateFile))
      },
    },
  }
}

/** The new one signs, and the old ones are believed for as long as there is a ledger. */
function ledgerKey (): Rotation {
  const { begin, switch: last } = pair('LEDGER_KEYS', { begin: ['claim-store'], switch: ['claim-store'] })
  const { file } = secretOf('LEDGER_KEYS')
  return {
    begin: begin as Step,
    finish: {
      restarts: ['claim-store'],
      carryOut: (directory) => {
        last?.carryOut(directory)
        directory.remove(nextOf(file))
      },
    },
  }
}

const RELOAD = 'Let NATS know: scripts/secrets nats-users <directory> into its users.conf, then nats-server --signal reload'

/** NATS is told of the new key beside the old, then the service is given the new one, then NATS forgets the old. */
function natsKey (owner: NatsKeyOwner): Rotation {
  const file = seedFileOf(owner)
  const [next, previous] = [nextOf(file), previousOf(file)]
  return {
    begin: {
      restarts: [], note: RELOAD,
      carryOut: (directory) => {
        if (directory.has(previous)) throw new SecretsError(`${file} is past this phase already`)
        if (!directory.has(next)) directory.write(next, newSeed())
      },
    },
    switch: {
      restarts: owner === 'operator' || owner === 'system' ? [] : [owner],
      carryOut: (directory) => {
        if (!directory.has(next)) {
          if (directory.has(previous)) return
          throw new SecretsError(`${file} is not being rotated: begin first`)
        }
        if (!directory.has(previous)) directory.write(previous, directory.text(file))
        directory.write(file, directory.text(next))
        directory.remove(next)
      },
    },
    finish: {
      restarts: [], note: RELOAD,
      carryOut: (directory) => {
        if (directory.has(next) || !directory.has(previous)) throw new SecretsError(`${file} is still the old key: the phase before this one is missing`)
        directory.remove(previous)
      },
    },
  }
}

/** Nothing can know two of these at once: it is changed by scripts/rekey-members, with every service stopped, between the two phases. */
function memberIdKey (): Rotation {
  const { file } = secretOf('MEMBER_ID_KEY')
  return {
    begin: {
      restarts: [],
      carryOut: (directory) => {
        directory.text(file)
        if (!directory.has(nextOf(file))) directory.write(nextOf(file), randomSecret())
      },
    },
    finish: {
      restarts: [],
      carryOut: (directory) => {
        if (!directory.has(nextOf(file))) throw new SecretsError(`${file} is not being rotated: begin first`)
        directory.write(file, directory.text(nextOf(file)))
        directory.remove(nextOf(file))
      },
    },
  }
}

export const ROTATIONS: Readonly<Record<string, Rotation>> = {
  'internal-secret': pair('INTERNAL_SECRET', { begin: ['bot'], switch: ['gateway', 'reaper'], finish: ['bot'] }),
  'webhook-secret': pair('WEBHOOK_SECRETS', { begin: ['gateway'], finish: ['gateway'] }),
  'alerts-secret': pair('ALERTS_SECRET', { begin: ['bot'], switch: [], finish: ['bot'] }),
  'session-key': pair('SESSION_KEY', { begin: ['bot'], switch: ['bot'], finish: ['bot'] }),
  'login-key': loginKey(),
  'member-id-key': memberIdKey(),
  'ledger-key': ledgerKey(),
  ...Object.fromEntries(NATS_KEY_OWNERS.map((owner) => [`nats-${owner}`, natsKey(owner)])),
}
