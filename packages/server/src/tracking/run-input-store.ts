import { type Expression, sql } from 'kysely'
import type { Visibility } from '../auth/visibility.ts'
import { compileOnce, type Db, insertRows } from '../db/dialect.ts'
import type { Int64 } from '../db/schema.ts'
import type { RunRow } from './run-store.ts'

/** The tag of an input that says what a dataset was used for, such as `training`. */
const CONTEXT_TAG = 'mlflow.data.context'

export interface DatasetInput {
  tags?: { key: string; value: string }[] | undefined
  dataset: {
    name: string
    digest: string
    source_type: string
    source: string
    schema?: string | undefined
    profile?: string | undefined
  }
}

export interface ModelLink {
  model_id: string
  step: Int64
}

export interface RunInputs {
  datasets: DatasetInput[]
  inputs: ModelLink[]
  outputs: ModelLink[]
}

const insertDataset = insertRows('dataset', {
  columns: ['experiment', 'name', 'digest', 'source_type', 'source', 'schema', 'profile'],
  key: ['experiment', 'name', 'digest'],
  whenThere: 'keep',
})

const insertLink = insertRows('run_dataset', {
  columns: ['run', 'dataset', 'experiment', 'context'],
  key: ['run', 'dataset'],
  whenThere: 'keep',
})

const insertDatasetTags = insertRows('run_dataset_tag', {
  columns: ['run', 'dataset', 'key', 'value'],
  key: ['run', 'dataset', 'key'],
  whenThere: 'keep',
})

const insertModels = insertRows('run_model', {
  columns: ['run', 'direction', 'model_id', 'step'],
  key: ['run', 'direction', 'model_id'],
  whenThere: 'keep',
})

/** Links datasets to a run; what is linked already stays as it is. */
export async function insertDatasets(db: Db, run: RunRow, inputs: DatasetInput[]): Promise<void> {
  const { experiment } = run
  for (const { dataset, tags = [] } of inputs) {
    const { name, digest, source_type, source, schema = null, profile = null } = dataset
    await insertDataset(db, [{ experiment, name, digest, source_type, source, schema, profile }])
    const { id } = await db
      .selectFrom('dataset')
      .select('id')
      .where('experiment', '=', experiment)
      .where('name', '=', name)
      .where('digest', '=', digest)
      .executeTakeFirstOrThrow()
    const linked = await db
      .selectFrom('run_dataset')
      .select('run')
      .where('run', '=', run.id)
      .where('dataset', '=', id)
      .executeTakeFirst()
    if (linked !== undefined) continue
    const context = tags.findLast(({ key }) => key === CONTEXT_TAG)?.value ?? null
    await insertLink(db, [{ run: run.id, dataset: id, experiment, context }])
    const byKey = new Map(tags.map(({ key, value }) => [key, value]))
    await insertDatasetTags(
      db,
      [...byKey].map(([key, value]) => ({ run: run.id, dataset: id, key, value })),
    )
  }
}

/** Links logged models to a run; a link that is there already stays as it is. */
export async function insertModelLinks(
  db: Db,
  run: number,
  direction: 'input' | 'output',
  links: readonly { model_id: string; step?: Int64 | undefined }[],
): Promise<void> {
  const byModel = new Map(links.toReversed().map((link) => [link.model_id, link]))
  await insertModels(
    db,
    [...byModel.values()].map(({ model_id, step = 0 }) => ({ run, direction, model_id, step })),
  )
}

/** What a run has that nothing went into and nothing came out of. */
export const NO_INPUTS: RunInputs = { datasets: [], inputs: [], outputs: [] }

const selectModels = compileOnce<{ run: number }, ModelRow>((db, param) =>
  selectModelRows(db).where('run', '=', param('run')),
)

interface ModelRow extends ModelLink {
  run: number
  direction: 'input' | 'output'
}

function selectModelRows(db: Db) {
  return db
    .selectFrom('run_model')
    .select(['run', 'model_id', 'direction', 'step'])
    .orderBy('direction')
    .orderBy('model_id')
}

interface LinkedDataset {
  run: number
  dataset: number
  name: string
  digest: string
  source_type: string
  source: string
  schema: string | null
  profile: string | null
}

const selectDatasets = compileOnce<{ run: number }, LinkedDataset>((db, param) =>
  selectDatasetRows(db).where('run', '=', param('run')),
)

function selectDatasetRows(db: Db) {
  return db
    .selectFrom('run_dataset')
    .innerJoin('dataset', 'dataset.id', 'run_dataset.dataset')
    .select(['run', 'dataset', 'name', 'digest', 'source_type', 'source', 'schema', 'profile'])
    .orderBy('run_dataset.dataset')
}

/** Everything that went into some runs and came out of them; runs without any are not in it. */
export async function listInputs(db: Db, runs: readonly number[]): Promise<Map<number, RunInputs>> {
  const [run] = runs
  const isOne = runs.length === 1 && run !== undefined
  const datasets = isOne
    ? await selectDatasets(db, { run })
    : await selectDatasetRows(db).where('run', 'in', runs).execute()
  const models = isOne
    ? await selectModels(db, { run })
    : await selectModelRows(db).where('run', 'in', runs).execute()
  const tags =
    datasets.length === 0
      ? []
      : await db
          .selectFrom('run_dataset_tag')
          .selectAll()
          .where('run', 'in', [...new Set(datasets.map((row) => row.run))])
          .orderBy('key')
          .execute()

  const byRun = new Map<number, RunInputs>()
  const inputsOf = (id: number) => {
    const inputs = byRun.get(id) ?? { datasets: [], inputs: [], outputs: [] }
    byRun.set(id, inputs)
    return inputs
  }
  const tagsByLink = Map.groupBy(tags, (tag) => `${tag.run} ${tag.dataset}`)
  for (const row of datasets) {
    const ofDataset = tagsByLink.get(`${row.run} ${row.dataset}`)
    inputsOf(row.run).datasets.push(toDatasetInput(row, ofDataset))
  }
  for (const { run: id, direction, ...link } of models) {
    inputsOf(id)[direction === 'input' ? 'inputs' : 'outputs'].push(link)
  }
  return byRun
}

function toDatasetInput(
  { name, digest, source_type, source, schema, profile }: LinkedDataset,
  tags: readonly { key: string; value: string }[] = [],
): DatasetInput {
  return {
    ...(tags.length > 0 && { tags: tags.map(({ key, value }) => ({ key, value })) }),
    dataset: {
      name,
      digest,
      source_type,
      source,
      ...(schema !== null && { schema }),
      ...(profile !== null && { profile }),
    },
  }
}

const SUMMARIES_MAX = 1000

/** Distinct (experiment, name, digest, context) of the datasets that runs used. */
export async function summariseDatasets(db: Db, experiments: number[], visible: Visibility) {
  const rows = await db
    .selectFrom('run_dataset')
    .innerJoin('dataset', 'dataset.id', 'run_dataset.dataset')
    .innerJoin('experiment', 'experiment.id', 'run_dataset.experiment')
    .select(['run_dataset.experiment', 'dataset.name', 'dataset.digest', 'run_dataset.context'])
    .distinct()
    .where('run_dataset.experiment', 'in', experiments)
    .where('experiment.stage', '=', 0)
    .where(visible(sql.ref('run_dataset.experiment') as Expression<number>))
    .limit(SUMMARIES_MAX)
    .execute()
  return rows.map(({ experiment, name, digest, context }) => ({
    experiment_id: String(experiment),
    name,
    digest,
    ...(context !== null && { context }),
  }))
}
