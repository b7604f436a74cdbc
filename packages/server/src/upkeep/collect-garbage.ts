import type { DatabaseConfig } from '../config.ts'
import type { Db } from '../db/dialect.ts'
import { TransactionConflict } from '../db/pooled-driver.ts'
import { type ArtifactAccess, reachTree } from './artifact-access.ts'
import { deleteTree } from './artifact-tree.ts'
import { measureGarbage, sizeText } from './garbage-size.ts'
import { withDatabase } from './open-database.ts'
import {
  deletePending,
  listPending,
  type Pending,
  purgeExperiment,
  purgeLoggedModel,
  purgeRun,
} from './purge-store.ts'
import {
  findDanglingVersions,
  type Garbage,
  type GarbageQuery,
  selectGarbage,
} from './select-garbage.ts'

export interface GarbageOptions extends ArtifactAccess {
  database: DatabaseConfig
  query: GarbageQuery
  /** Says what would go and changes nothing. */
  isTrial: boolean
  /** Takes one line for people. */
  print(line: string): void
}

/**
 * Purges what is in the bin, as `mlflow gc` does: the rows of each run in one transaction, which
 * also notes where its artifacts are, and then these. A purge that was cut short is finished by the
 * next one.
 *
 * @throws ApiError in MLflow's words when something named may not be purged; nothing is then
 */
export async function collectGarbage(options: GarbageOptions): Promise<void> {
  await withDatabase(options.database, options.isTrial ? 'read' : 'write', async (db) => {
    const garbage = await selectGarbage(db, options.query)
    await purge(db, garbage, options)
  })
}

/** Purges what was selected, or says how much it is. */
export async function purge(
  db: Db,
  garbage: Garbage,
  options: Pick<GarbageOptions, 'isTrial' | 'print' | 'settings' | 'proxied'>,
): Promise<void> {
  const { print } = options
  for (const notice of garbage.notices) print(notice)
  const goes = options.isTrial ? 'would go' : 'go'
  for (const { name, version, source } of await findDanglingVersions(db, garbage)) {
    print(`Version ${version} of model '${name}' loses its files: those of ${source} ${goes}.`)
  }
  if (options.isTrial) {
    for (const line of sizeText(await measureGarbage(db, garbage, options))) print(line)
    return
  }
  const interrupted = await listPending(db)
  await tryStores([...interrupted, ...garbage.runs, ...garbage.models], options)
  for (const pending of interrupted) await finish(db, pending, options)
  for (const run of garbage.runs) {
    if ((await retried(() => purgeRun(db, run))) === undefined) {
      print(`Run ${run.name} was taken out of the bin meanwhile, so it stays.`)
      continue
    }
    await finish(db, { kind: 'run', name: run.name, uri: run.uri }, options)
    print(`Run with ID ${run.name} has been permanently deleted.`)
  }
  for (const whole of [false, true]) {
    for (const model of whole ? garbage.modelsOfExperiments : garbage.models) {
      if ((await retried(() => purgeLoggedModel(db, model, { whole }))) === undefined) {
        print(`Logged model ${model.name} was changed meanwhile, so it stays.`)
        continue
      }
      await finish(db, { kind: 'model', name: model.name, uri: model.uri }, options)
      print(`Logged model with ID ${model.name} has been permanently deleted.`)
    }
  }
  for (const { id } of garbage.experiments) {
    const isGone = (await retried(() => purgeExperiment(db, id))) !== undefined
    print(
      isGone
        ? `Experiment with ID ${id} has been permanently deleted.`
        : `Experiment ${id} was restored or filled meanwhile, so it stays.`,
    )
  }
}

/** Looks into each store once, so that one that cannot be used is told before anything is gone. */
async function tryStores(
  things: readonly { uri: string }[],
  access: ArtifactAccess,
): Promise<void> {
  const tried = new Set<object>()
  for (const { uri } of things) {
    const tree = reachTree(uri, access)
    if ('unreachable' in tree || tried.has(tree.store)) continue
    tried.add(tree.store)
    await tree.store.list(tree.base)
  }
}

/** Deletes the artifacts of what has no rows any more. */
async function finish(
  db: Db,
  pending: Pending,
  options: Pick<GarbageOptions, 'print' | 'settings' | 'proxied'>,
): Promise<void> {
  const tree = reachTree(pending.uri, options)
  if ('unreachable' in tree) {
    options.print(
      `The files of ${pending.kind} ${pending.name} stay at ${pending.uri}: ${tree.unreachable}`,
    )
  } else await deleteTree(tree, pending.name)
  await retried(() => deletePending(db, pending))
}

const CONFLICTS_MAX = 10

/** Does a transaction again that others were in the way of. */
export async function retried<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof TransactionConflict) || tries === CONFLICTS_MAX) throw error
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 50 * tries))
    }
  }
}
