import { sql } from 'kysely'
import type { QuickWrite } from '../db/database.ts'
import { type Db, kindOf, perAdapter, statementOnce } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import { type Int64, STAGE_ACTIVE } from '../db/schema.ts'
import { getActiveExperiment, parseExperimentId } from './experiment-store.ts'
import { rememberRun } from './known-runs.ts'
import { newRun } from './run-reading.ts'
import { idOf, insertRun, statusNumber, upsertTags } from './run-store.ts'

/** A checked run that is about to begin; of a key that comes twice only the later tag is in it. */
export interface RunToCreate {
  experiment_id: string
  uuid: string
  name: string
  user_id: string
  start_time: Int64
  tags: { key: string; value: string }[]
}

/** Stores a run and its tags; gives it as `runs/create` answers it. */
export async function createRun(db: Db, { experiment_id, tags, ...facts }: RunToCreate) {
  const { id, artifact_location } = await getActiveExperiment(db, experiment_id)
  locationsOf(db).set(id, artifact_location)
  const run = await insertRun(db, {
    ...facts,
    ...begun(facts.uuid, artifact_location),
    experiment: id,
  })
  rememberRun(db, run)
  await upsertTags(db, run, tags)
  return { run: newRun(run, tags) }
}

function begun(uuid: string, artifact_location: string) {
  const artifact_uri = `${artifact_location.replace(/\/$/, '')}/${uuid}/artifacts`
  return { status: statusNumber('RUNNING'), artifact_uri }
}

/** Where experiments keep their artifacts, of those that runs were created in. */
const locationsOf = perAdapter(() => new Map<number, string>())

interface Parameters extends Record<string, unknown> {
  experiment: number
  location: string
  uuid: string
  name: string
  user_id: string
  status: number
  start_time: Int64
  artifact_uri: string
  keys: number[]
  values: string[]
}

/** Sent again after the connection broke, it finds the run there and gives it once more. */
const statement = statementOnce<Parameters, { run: number }>((db, param) => {
  const created = sql`with created as (
      insert into run (experiment, uuid, name, user_id, status, start_time, artifact_uri, stage)
      select id, ${param('uuid')}, ${param('name')}, ${param('user_id')}, ${param('status')},
        ${param('start_time')}, ${param('artifact_uri')}, ${sql.lit(STAGE_ACTIVE)}
      from experiment where id = ${param('experiment')} and stage = ${sql.lit(STAGE_ACTIVE)}
        and artifact_location = ${param('location')}
      on conflict (uuid) do update set uuid = excluded.uuid
      returning id, experiment)
    insert into tag (run, key, experiment, value)
    select created.id, entry.key, created.experiment, entry.value
    from created
      cross join unnest(${param('keys')}::bigint[], ${param('values')}::text[]) as entry (key, value)
    on conflict (run, key) do update set value = excluded.value
    returning run`
  return { compile: () => created.compile(db) as never }
})

/** The same in one statement where a database takes one, given at least one tag. */
export async function quickRun(
  db: Db,
  describe: () => RunToCreate,
): Promise<QuickWrite | undefined> {
  if (kindOf(db) !== 'postgresql') return undefined
  const { experiment_id, tags, ...facts } = describe()
  const experiment = parseExperimentId(experiment_id)
  const location = locationsOf(db).get(experiment)
  if (location === undefined) return undefined
  const ids = await keyNames(db).ensure(
    db,
    tags.map(({ key }) => key),
  )
  const row = { ...facts, ...begun(facts.uuid, location), experiment }
  return {
    statement: statement(db, {
      ...row,
      location,
      keys: tags.map(({ key }) => idOf(ids, key)),
      values: tags.map(({ value }) => value),
    }),
    answer({ rows }) {
      const [found] = rows as { run: number }[]
      if (found === undefined) return undefined
      rememberRun(db, { uuid: facts.uuid, id: found.run })
      const unset = { id: found.run, stage: STAGE_ACTIVE, end_time: null, deleted_time: null }
      return { run: newRun({ ...row, ...unset }, tags) }
    },
  }
}
