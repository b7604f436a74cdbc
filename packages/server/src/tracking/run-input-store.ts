import { type Expression, sql } from 'kysely'
import type { Visibility } from '../auth/visibility.ts'
import { compileOnce, type Db, insertMissing } from '../db/dialect.ts'
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

/** Links datasets to a run; what is linked already stays as it is. */
export async function insertDatasets(db: Db, run: RunRow, inputs: DatasetInput[]): Promise<void> {
  const { experiment } = run
  for (const { dataset, tags = [] } of inputs) {
    const { name, digest, source_type, source, schema = null, profile = null } = dataset
    await insertMissing(db, 'dataset', [
      { experiment, name, digest, source_type, source, schema, profile },
    ]).execute()
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
    await db
      .insertInto('run_dataset')
      .values({ run: run.id, dataset: id, experiment, context })
      .execute()
    const byKey = new Map(tags.map(({ key, value }) => [key, value]))
    for (const [key, value] of byKey) {
      await insertDatasetTag(db, { run: run.id, dataset: id, key, value })
    }
  }
}

/** Links logged models to a run; a link that is there already stays as it is. */
export async function insertModelLinks(
  db: Db,
  run: number,
  direction: 'input' | 'output',
  links: readonly { model_id: string; step?: Int64 | undefined }[],
): Promise<void> {
  for (const { model_id, step = 0 } of links) {
    await insertModelLink(db, { run, model_id, direction, step })
  }
}

const insertDatasetTag = compileOnce<
  { run: number; dataset: number; key: string; value: string },
  unknown
>((db, param) =>
  db.insertInto('run_dataset_tag').values({
    run: param('run'),
    dataset: param('dataset'),
    key: param('key'),
    value: param('value'),
  }),
)

const insertModelLink = compileOnce<
  { run: number; model_id: string; direction: 'input' | 'output'; step: Int64 },
  unknown
>((db, param) =>
  db
    .insertInto('run_model')
    .values({
      run: param('run'),
      model_id: param('model_id'),
      direction: param('direction'),
      step: param('step'),
    })
    .onConflict((conflict) => conflict.doNothing()),
)

const selectModels = compileOnce<
  { run: number },
  { model_id: string; direction: 'input' | 'output'; step: Int64 }
>((db, param) =>
  db
    .selectFrom('run_model')
    .select(['model_id', 'direction', 'step'])
    .where('run', '=', param('run')),
)

interface LinkedDataset {
  dataset: number
  name: string
  digest: string
  source_type: string
  source: string
  schema: string | null
  profile: string | null
}

const selectDatasets = compileOnce<{ run: number }, LinkedDataset>((db, param) =>
  db
    .selectFrom('run_dataset')
    .innerJoin('dataset', 'dataset.id', 'run_dataset.dataset')
    .select(['dataset', 'name', 'digest', 'source_type', 'source', 'schema', 'profile'])
    .where('run', '=', param('run')),
)

const selectDatasetTags = compileOnce<
  { run: number },
  { dataset: number; key: string; value: string }
>((db, param) =>
  db
    .selectFrom('run_dataset_tag')
    .select(['dataset', 'key', 'value'])
    .where('run', '=', param('run')),
)

/** Everything that went into a run and came out of it. */
export async function listInputs(db: Db, run: number): Promise<RunInputs> {
  const datasets = await selectDatasets(db, { run })
  const tags = datasets.length === 0 ? [] : await selectDatasetTags(db, { run })
  const models = await selectModels(db, { run })
  return {
    datasets: datasets.map(({ dataset: id, schema, profile, ...dataset }) => {
      const ofDataset = tags
        .filter(({ dataset }) => dataset === id)
        .map(({ key, value }) => ({ key, value }))
      return {
        ...(ofDataset.length > 0 && { tags: ofDataset }),
        dataset: {
          ...dataset,
          ...(schema !== null && { schema }),
          ...(profile !== null && { profile }),
        },
      }
    }),
    inputs: models.filter(({ direction }) => direction === 'input'),
    outputs: models.filter(({ direction }) => direction === 'output'),
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
