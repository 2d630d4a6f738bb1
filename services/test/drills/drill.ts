// One drill: the fault is caused, the alert that is for it has to fire and to reach those whom it is for, its entry in the runbook has to show what is the
// matter and how to end it, and the alert has to end.
import { setTimeout as delay } from 'node:timers/promises'
import { rules } from '../../../deploy/prometheus/test/promtool.ts'
import { until } from '../journey.ts'
import type { ActiveAlert } from '../prometheus.ts'
import { entryAt, type Entry } from './entry.ts'
import type { Field } from './field.ts'

export interface Scene {
  /** The fault. What it needs to happen to was put there before. */
  readonly cause: () => Promise<void>
  /** What the entry's Mitigation says, by its own commands where it has some. */
  readonly mend: (entry: Entry) => Promise<void>
  /** What went on until the alert was over ends. */
  readonly end?: () => Promise<void>
}

export interface Drill {
  readonly alert: string
  /** Which of several drills of one alert. */
  readonly variant?: string
  /** What is done to the system, in words. */
  readonly fault: string
  /** Where this is not the very thing that happens in production: what is other about it, and why. */
  readonly nearest?: string
  readonly mitigation: string
  /** Labels of the one alert that is meant, where there may be others of its name. */
  readonly labels?: Readonly<Record<string, string>>
  /** The entry has an example in its commands, and the alert says what to put in its place: from, to. */
  readonly inPlaceOf?: ReadonlyArray<readonly [string, string]>
  /** Has to stand in what the commands of the Diagnosis print. */
  readonly shows: RegExp
  /** Why admins do not hear of it by WhatsApp, although Alertmanager tells the bot of alerts like this. */
  readonly unsaid?: string
  /** Another alert that says the same, so that nobody is told of this one. */
  readonly quietedBy?: string
  /** How long it may take until it fires, and from the mitigation until it is over. */
  readonly firesMsMax?: number
  readonly clearsMsMax?: number
  /** It is over so late that other drills go on meanwhile. */
  readonly lingers?: true
  /** It waits for very long and disturbs nobody: all such drills are held at once. */
  readonly meanwhile?: true
  /** For an alert that is one when it does not come. */
  readonly isMissed?: (field: Field) => boolean
  readonly scene: (field: Field) => Promise<Scene>
}

/** By which it is asked for. */
export const nameOf = ({ alert, variant }: Pick<Drill, 'alert' | 'variant'>): string => variant === undefined ? alert : `${alert}:${variant}`

export interface Outcome {
  readonly name: string
  /** All from the fault on, or from the mitigation; null: it did not happen, or was not to. */
  readonly firedMs: number | null
  readonly toldMs: number | null
  readonly chatMs: number | null
  readonly clearedMs: number | null
  readonly showed: string
  readonly problems: readonly string[]
}

const QUIET_MS_MAX = 120_000
const FIRES_MS_MAX = 120_000
const CLEARS_MS_MAX = 120_000
/** From Prometheus over Alertmanager to whoever is told. Tickets wait half an hour for the next round. */
const TOLD_MS_MAX = 60_000
const EVERY_MS = 100
/** Once seen it lasts for a day. */
const LASTING = ['DeletionOfPresentMember']

const labelsFit = (labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>> = {}): boolean => Object.entries(wanted).every(([label, value]) => labels[label] === value)

/** Resolves when all is done but what `over` still waits for. Never rejects: what goes wrong is a problem of the outcome. */
export async function carryOut (field: Field, drill: Drill): Promise<{ over: Promise<Outcome> }> {
  const { alert, labels, isMissed } = drill
  const { prometheus } = field
  const problems: string[] = []
  const outcome = { name: nameOf(drill), firedMs: null as number | null, toldMs: null as number | null, chatMs: null as number | null, clearedMs: null as number | null, showed: '', problems }
  const rule = rules.find((each) => each.alert === alert)

  const active = async (): Promise<ActiveAlert[]> => (await prometheus.alerts()).filter((each) => each.labels['alertname'] === alert && labelsFit(each.labels, labels))
  const isFiring = async (): Promise<boolean> => isMissed ? isMissed(field) : (await active()).some(({ state }) => state === 'firing')
  /** How long it took, since `from`. A problem where it did not happen. */
  async function waited (what: string, from: number, waitMs: number, look: () => Promise<boolean> | boolean): Promise<number | null> {
    try {
      await until(what, async () => await look() || undefined, { waitMs, everyMs: EVERY_MS })
      return Date.now() - from
    } catch {
      problems.push(`within ${Math.round(waitMs / 1_000)} s it never happened: ${what}`)
      return null
    }
  }

  const told = createListener(field, drill, rule?.labels ?? {})
  let scene: Scene | undefined
  let entry: Entry | undefined
  try {
    entry = entryAt(rule?.annotations?.['runbook_url'] ?? '')
    if (entry.alert !== alert) problems.push(`its runbook_url leads to ${entry.alert}`)
    scene = await drill.scene(field)
    await waited('the alert does not fire before', Date.now(), QUIET_MS_MAX, async () => isMissed ? !isMissed(field) : (await active()).length === 0)

    const began = Date.now()
    await told.begin()
    await scene.cause()
    outcome.firedMs = await waited('the alert fires', began, drill.firesMsMax ?? FIRES_MS_MAX, isFiring)
    if (!isMissed) {
      const url = (await active())[0]?.annotations['runbook_url']
      if (url !== rule?.annotations?.['runbook_url']) problems.push(`the alert that fires leads to ${url}`)
      if (outcome.firedMs !== null && drill.quietedBy !== undefined) await waited(`it is kept quiet, and ${drill.quietedBy} is told`, began, TOLD_MS_MAX, async () => await told.isQuiet() && told.hears('firing', drill.quietedBy))
      else if (outcome.firedMs !== null) [outcome.toldMs, outcome.chatMs] = await Promise.all([
        waited(`${told.receiver} hears of it`, began, TOLD_MS_MAX, () => told.hears('firing')),
        told.isSaid ? waited('an admin reads of it', began, TOLD_MS_MAX, async () => await told.reads('firing')) : null,
      ])
    }

    const printed = await diagnosed(field, entry, drill.inPlaceOf)
    const seen = drill.shows.exec(printed)
    if (seen) outcome.showed = seen[0].replaceAll(/\s+/g, ' ').trim()
    else problems.push(`the diagnosis does not show ${drill.shows.source}: ${printed}`)
  } catch (error) {
    problems.push(String(error))
  }

  const mendedAt = Date.now()
  try {
    if (scene && entry) await scene.mend(entry)
  } catch (error) {
    problems.push(`the mitigation failed: ${String(error)}`)
  }
  return { over: over() }

  async function over (): Promise<Outcome> {
    try {
      if (outcome.firedMs !== null) await ending()
      await scene?.end?.()
    } catch (error) {
      problems.push(String(error))
    }
    return outcome
  }

  async function ending (): Promise<void> {
    outcome.clearedMs = await waited('the alert is over', mendedAt, drill.clearsMsMax ?? CLEARS_MS_MAX, async () => isMissed ? !isMissed(field) : !await isFiring())
    if (drill.quietedBy !== undefined && told.hears('firing')) problems.push(`${told.receiver} hears of it, beside ${drill.quietedBy}`)
    if (isMissed || drill.quietedBy !== undefined || outcome.clearedMs === null) return
    await waited(`${told.receiver} hears that it is over`, mendedAt, TOLD_MS_MAX + (drill.clearsMsMax ?? 0), () => told.hears('resolved'))
    if (told.isSaid && outcome.chatMs !== null) await waited('an admin reads that it is over', mendedAt, TOLD_MS_MAX + (drill.clearsMsMax ?? 0), async () => await told.reads('resolved'))
  }
}

/** Who hears of an alert by deploy/prometheus/alertmanager.yml, and whether they did since the fault. */
function createListener ({ heard, adminReads, suppressed }: Field, { alert, labels, unsaid }: Drill, { severity, service }: Readonly<Record<string, string>>) {
  const isPage = severity === 'page'
  const ofService = labels?.['service'] ?? service
  let [from, read] = [0, 0]
  return {
    receiver: isPage ? 'on-call' : 'tickets',
    /** By WhatsApp. What keeps the bot from speaking it is not asked to say. */
    isSaid: isPage && ofService !== 'bot' && unsaid === undefined,
    begin: async (): Promise<void> => { [from, read] = [heard.length, (await adminReads()).length] },
    hears: (status: 'firing' | 'resolved', of = alert): boolean => heard.slice(from).some(({ to, alerts }) => to === (isPage ? '/on-call' : '/tickets') && alerts.some((each) => each.status === status && each.labels['alertname'] === of && (of !== alert || labelsFit(each.labels, labels)))),
    isQuiet: async (): Promise<boolean> => (await suppressed()).some((each) => each['alertname'] === alert && labelsFit(each, labels)),
    reads: async (status: 'firing' | 'resolved'): Promise<boolean> => (await adminReads()).slice(read).some((text) => text.includes(status === 'firing' ? `🔴 ${alert} (page)\n` : `🟢 ${alert} is over.`)),
  }
}

/** What every command of the Diagnosis prints, one after another, each below itself. One that finds nothing fails as a rule. */
async function diagnosed (field: Field, entry: Entry, inPlaceOf: Drill['inPlaceOf'] = []): Promise<string> {
  const printed: string[] = []
  for (const example of entry.commands('Diagnosis')) {
    const command = inPlaceOf.reduce((text, [from, to]) => text.replaceAll(from, to), example)
    const { code, said } = await field.run(command)
    printed.push(`$ ${command}\n${said}${code === 0 ? '' : `(ended with ${code})\n`}`)
  }
  return printed.join('')
}

/** Resolves when nobody is woken any more: a page would keep others quiet, or be another's. After two minutes it is as it is. */
export async function quiet ({ prometheus }: Field): Promise<void> {
  const isQuiet = async (): Promise<boolean> => (await prometheus.alerts()).every(({ labels: { alertname, severity } }) => severity !== 'page' || LASTING.includes(alertname ?? ''))
  for (const deadline = Date.now() + QUIET_MS_MAX; Date.now() < deadline && !await isQuiet(); await delay(EVERY_MS));
}
