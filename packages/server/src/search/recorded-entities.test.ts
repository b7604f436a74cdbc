import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Db } from '../db/dialect.ts'
import { openRecordedDatabase } from './recorded-database.ts'
import {
  answer,
  experimentsFound,
  type LoggedModelQuestion,
  loggedModelsFound,
  modelsFound,
  type Question,
  versionsFound,
} from './recorded-search.ts'

/**
 * What stock MLflow 3.17.2 (its SQL stores on SQLite) answered to the same questions over the same
 * rows (`recorded-rows.ts`): the names it found in order, or "400" and how its message begins.
 * `DIFFERENT_*` are the cases where we mean to differ: our answer, then MLflow's.
 */
type Recorded<Q> = readonly (readonly [question: string | Q, answer: string, mlflow?: string])[]

let db: Db
beforeAll(async () => {
  db = await openRecordedDatabase()
})
afterAll(() => db.destroy())

const EXPERIMENTS: Recorded<Question> = [
  ['', 'vision Churn-2 churn Default'],
  ["name = 'churn'", 'churn'],
  ["name != 'churn'", 'vision Churn-2 Default'],
  ["name LIKE '%hurn%'", 'Churn-2 churn'],
  ["name ILIKE 'CHURN%'", 'Churn-2 churn'],
  ["attribute.name = 'vision'", 'vision'],
  ["attributes.name = 'vision'", '400 Invalid entity type'],
  ["attr.name = 'x'", '400 Invalid entity type'],
  ["name > 'a'", '400 Invalid comparator'],
  ["name IN ('churn')", '400 Only'],
  ['creation_time > 200', 'vision Churn-2'],
  ['creation_time >= 200 AND last_update_time < 900', 'vision Churn-2'],
  ["creation_time = '200'", '400 Expected numeric value type for numeric attribute'],
  ['creation_time > 1.5', '400 Invalid value for numeric attribute'],
  ['creation_time LIKE 1', '400 Invalid comparator'],
  ["experiment_id = '1'", 'churn'],
  ["experiment_id != '1'", 'vision Churn-2 Default'],
  ["experiment_id IN ('1', '2')", 'Churn-2 churn'],
  ["experiment_id NOT IN ('1')", 'vision Churn-2 Default'],
  ['experiment_id = 1', '400 Expected a quoted string value for attributes. Got value 1'],
  ["experiment_id = 'abc'", '400 Invalid experiment ID'],
  ["experiment_id > '1'", '400 Invalid comparator for experiment_id'],
  ["experiment_id LIKE '1'", '400 Invalid comparator for experiment_id'],
  ["tags.team = 'red'", 'vision churn'],
  ["tag.team != 'red'", 'Churn-2'],
  ["tags.team ILIKE '%L%'", 'Churn-2'],
  ["tags.`a.b` = '1'", 'vision'],
  ["tags.a.b = '1'", 'vision'],
  ['tags.team IS NULL', 'Default'],
  ['tags.team IS NOT NULL', 'vision Churn-2 churn'],
  ['name IS NULL', '400 IS NULL / IS NOT NULL is only supported for tags, not for attribute'],
  ["tags.team > 'a'", '400 Invalid comparator for tag'],
  ['tags.team = 1', '400 Expected a quoted string value for tag (e.g.'],
  ["tags.team = 'red' AND tags.owner LIKE 'a%'", 'churn'],
  ["params.x = 'a'", '400 Invalid entity type'],
  ["foo = 'a'", '400 Invalid attribute key'],
  ["name = 'a' OR name = 'b'", '400 Invalid clause(s) in filter string'],
  [
    'creation_time IS NULL',
    '400 IS NULL / IS NOT NULL is only supported for tags, not for attribute',
  ],
  ["tags.team IN ('a')", '400 Expected a quoted string value for tag (e.g.'],
  [{ order_by: ['name'] }, 'Churn-2 Default churn vision'],
  [{ order_by: ['name DESC'] }, 'vision churn Default Churn-2'],
  [{ order_by: ['experiment_id asc'] }, 'Default churn Churn-2 vision'],
  [{ order_by: ['creation_time ASC'] }, 'Default churn Churn-2 vision'],
  [{ order_by: ['last_update_time DESC'] }, 'Default churn Churn-2 vision'],
  [{ order_by: ['attribute.name'] }, 'Churn-2 Default churn vision'],
  [{ order_by: ['tag.team'] }, '400 Invalid order_by entity'],
  [{ order_by: ['foo'] }, '400 Invalid attribute key'],
  [{ order_by: ['name', 'name desc'] }, 'Churn-2 Default churn vision'],
  [{ order_by: ['name foo'] }, '400 Invalid ordering key in order_by clause'],
]

const DIFFERENT_EXPERIMENTS: Recorded<Question> = [
  ["name like 'churn'", 'churn', '400 Invalid comparator'],
]

const MODELS: Recorded<Question> = [
  ['', 'Churn2 churn vision'],
  ["name = 'churn'", 'churn'],
  ["name != 'churn'", 'Churn2 vision'],
  ["name LIKE '%hurn%'", 'Churn2 churn'],
  ["name ILIKE 'CHURN%'", 'Churn2 churn'],
  ["name like 'c%'", 'churn'],
  ["attribute.name = 'vision'", 'vision'],
  ["attributes.name = 'vision'", '400 Invalid entity type'],
  ["name > 'a'", '400 Invalid comparator for attribute'],
  ["name IN ('churn', 'vision')", 'churn vision'],
  ["name NOT IN ('churn')", 'Churn2 vision'],
  ["name in ('churn')", 'churn'],
  ["tags.team = 'red'", 'churn vision'],
  ["tag.team != 'red'", 'Churn2'],
  ["tags.team = 'red' AND tags.tier = '1'", 'churn'],
  ["tags.team LIKE 'r%' and tags.team != 'rot'", 'churn vision'],
  ["tags.`mlflow.prompt.is_prompt` = 'true'", 'greeting'],
  ["tags.`mlflow.prompt.is_prompt` != 'true'", 'Churn2 churn vision'],
  ["tags.`mlflow.prompt.is_prompt` = 'false'", 'Churn2 churn vision'],
  ["tags.`mlflow.prompt.is_prompt` != 'false'", 'greeting'],
  ["tags.`mlflow.prompt.is_prompt` = 'TRUE'", ''],
  ["tags.`mlflow.prompt.is_prompt` = 'true' AND tags.team = 'red'", 'greeting'],
  ["tags.team = 'red' AND tags.`mlflow.prompt.is_prompt` = 'false'", 'churn vision'],
  ["tags.team IN ('red')", '400 Expected a quoted string value for tag (e.g.'],
  ['tags.team = 1', '400 Expected a quoted string value for tag (e.g.'],
  [
    'name = 1',
    '400 Expected a quoted string value or a list of quoted string values for attributes. Got value 1',
  ],
  ["foo = 'a'", '400 Invalid attribute key'],
  ['version_number = 1', '400 Invalid attribute key'],
  ["name = 'a' or name = 'b'", '400 Invalid clause(s) in filter string'],
  ['name', '400 Invalid clause(s) in filter string'],
  [{ order_by: ['name DESC'] }, 'vision churn Churn2'],
  [{ order_by: ['timestamp'] }, 'churn Churn2 vision'],
  [{ order_by: ['timestamp desc'] }, 'vision Churn2 churn'],
  [{ order_by: ['last_updated_timestamp ASC', 'name DESC'] }, 'churn Churn2 vision'],
  [{ order_by: ['creation_timestamp'] }, '400 Invalid order by key'],
  [{ order_by: ['foo'] }, '400 Invalid order by key'],
  [{ order_by: ['attribute.name'] }, '400 Invalid order by key'],
]

const DIFFERENT_MODELS: Recorded<Question> = [
  ['name IS NULL', '400 Invalid comparator for attribute', '500'],
  [{ order_by: ['name', 'name DESC'] }, '400 `order_by`', '500'],
  [{ order_by: ['timestamp', 'last_updated_timestamp'] }, '400 `order_by`', '500'],
]

const VERSIONS: Recorded<Question> = [
  ['', 'Churn2/1 churn/2 churn/1'],
  ["name = 'churn'", 'churn/2 churn/1'],
  ["name = 'Churn2'", 'Churn2/1'],
  ["name LIKE 'churn%'", 'churn/2 churn/1'],
  ["name ILIKE 'churn%'", 'Churn2/1 churn/2 churn/1'],
  ["name IN ('churn')", 'churn/2 churn/1'],
  ["run_id = 'r1'", 'Churn2/1 churn/1'],
  ["run_id IN ('r1','r2')", 'Churn2/1 churn/2 churn/1'],
  ["run_id NOT IN ('r1')", 'churn/2'],
  ["run_id != 'r1'", 'churn/2'],
  ["source_path = 's3://b/other'", 'Churn2/1'],
  ["source_path LIKE 's3://b/churn/%'", 'churn/2 churn/1'],
  ["source_path IN ('a')", '400 Only'],
  ['version_number = 1', 'Churn2/1 churn/1'],
  ['version_number > 1', 'churn/2'],
  ["version_number = '1'", 'Churn2/1 churn/1'],
  ["version_number <= 2 AND name = 'churn'", 'churn/2 churn/1'],
  ['version_number = 1.5', '400 Invalid value for numeric attribute'],
  ["version_number LIKE '1'", '400 Invalid comparator for attribute version_number'],
  ["version_number IN ('1')", '400 Only'],
  ['name = 1', '400 Only the'],
  ["tags.ok = 'yes'", 'churn/1'],
  ["tags.ok != 'yes'", 'churn/2'],
  ["tags.`a.b` = 'x'", 'churn/2'],
  ["tags.`mlflow.prompt.is_prompt` = 'true'", 'greeting/1'],
  ["tags.`mlflow.prompt.is_prompt` != 'true'", 'Churn2/1 churn/2 churn/1'],
  ["current_stage = 'None'", '400 Invalid attribute key'],
  ["name > 'a'", '400 Invalid comparator for attribute'],
  ["run_id in ('r1')", 'Churn2/1 churn/1'],
  [{ order_by: ['name DESC'] }, 'churn/2 churn/1 Churn2/1'],
  [{ order_by: ['version_number ASC'] }, 'Churn2/1 churn/1 churn/2'],
  [{ order_by: ['creation_timestamp DESC'] }, 'Churn2/1 churn/2 churn/1'],
  [{ order_by: ['last_updated_timestamp'] }, 'churn/1 churn/2 Churn2/1'],
  [{ order_by: ['version_number', 'name desc'] }, 'churn/1 Churn2/1 churn/2'],
  [{ order_by: ['run_id'] }, '400 Invalid attribute key'],
]

const DIFFERENT_VERSIONS: Recorded<Question> = [
  ["source = 'a'", '400 Invalid attribute key', '400 Invalid clause(s) in filter string'],
  ['version = 1', '400 Invalid attribute key', '400 Invalid clause(s) in filter string'],
  ['tags.ok IS NULL', '400 Invalid comparator for tag', '500'],
  [{ order_by: ['name', 'name'] }, '400 `order_by`', '500'],
  [{ order_by: ['version'] }, '400 Invalid attribute key', '400 Invalid order_by clause'],
  [{ order_by: ['tag.name'] }, '400 Invalid order_by entity', 'Churn2/1 churn/2 churn/1'],
]

const LOGGED_MODELS: Recorded<LoggedModelQuestion> = [
  ['', 'm-three m-two m-one'],
  ["name = 'm-one'", 'm-one'],
  ["name != 'm-one'", 'm-three m-two'],
  ["attributes.name LIKE 'm-t%'", 'm-three m-two'],
  ["name IN ('m-one', 'm-two')", 'm-two m-one'],
  ["name NOT IN ('m-one')", 'm-three m-two'],
  ["name ILIKE 'M-ONE'", 'm-one'],
  ["name like 'm-one'", 'm-one'],
  ["model_type = 'agent'", 'm-three m-one'],
  ["model_type != 'agent'", 'm-two'],
  ["source_run_id = '1a000000000000000000000000000000'", 'm-three m-one'],
  ["model_id = 'x'", ''],
  ['status = 2', 'm-one'],
  ['creation_timestamp > 100', 'm-three m-two'],
  ['creation_time >= 200', 'm-three m-two'],
  ['last_updated_timestamp < 900', 'm-three'],
  ['metrics.acc > 0.5', 'm-two m-one'],
  ['metrics.acc > 0.8', 'm-one'],
  ['metrics.acc < 0.5', 'm-one'],
  ['metrics.acc = 0.4 AND metrics.acc = 0.9', 'm-one'],
  ['metrics.nope > 0', ''],
  ['metrics.acc LIKE 1', '400 Invalid comparison operator for metrics.acc'],
  ["params.lr = '0.1'", 'm-one'],
  ['params.lr = 0.1', 'm-one'],
  ['params.lr = 1', 'm-two'],
  ["params.lr != '1'", 'm-one'],
  ["params.opt ILIKE 'A%'", 'm-one'],
  ['params.lr > 1', '400 Invalid comparison operator for params.lr'],
  ["tags.team = 'red'", 'm-three m-one'],
  ["tags.team IN ('red','x')", 'm-three m-one'],
  ['tags.note = \'a "b"\'', 'm-three'],
  ["tags.`team` = 'red'", 'm-three m-one'],
  ['params.lr IS NULL', '400 Invalid comparison'],
  ['foo.x = 1', '400 Invalid entity type'],
  ['a or b', '400 Invalid filter string'],
  ["name = 'a' OR name = 'b'", '400 Invalid filter string'],
  ["name = 'm-one' AND params.lr = '0.1'", 'm-one'],
  ["name = 'a'; name = 'b'", '400 Invalid filter string'],
  ["attribute.name = 'a'", '400 Invalid entity type'],
  ['metric.acc > 1', '400 Invalid entity type'],
  [{ datasets: [{ dataset_name: 'd' }] }, 'm-two m-one'],
  [{ datasets: [{ dataset_name: 'd', dataset_digest: 'y' }] }, 'm-two'],
  [{ filter: 'metrics.acc > 0.5', datasets: [{ dataset_name: 'd' }] }, 'm-two'],
  [
    {
      filter: 'metrics.acc > 0.3',
      datasets: [{ dataset_name: 'd', dataset_digest: 'x' }, { dataset_name: 'zz' }],
    },
    'm-one',
  ],
  [{ datasets: [{ dataset_digest: 'y' }] }, '400 `dataset_name`'],
  [{ order_by: [{ field_name: 'name' }] }, 'm-one m-three m-two'],
  [{ order_by: [{ field_name: 'creation_timestamp', ascending: true }] }, 'm-one m-two m-three'],
  [{ order_by: [{ field_name: 'creation_time', ascending: false }] }, 'm-three m-two m-one'],
  [{ order_by: [{ field_name: 'metrics.acc' }] }, 'm-one m-two m-three'],
  [{ order_by: [{ field_name: 'metrics.acc', ascending: false }] }, 'm-two m-one m-three'],
  [
    { order_by: [{ field_name: 'metrics.acc', dataset_name: 'd', dataset_digest: 'x' }] },
    'm-one m-three m-two',
  ],
  [{ order_by: [{ field_name: 'model_id', ascending: false }] }, 'm-three m-two m-one'],
  [{ order_by: [{ field_name: 'foo' }] }, '400 Invalid order by field name'],
  [{ order_by: [{ field_name: 'params.lr' }] }, '400 Invalid order by field name'],
  [{ order_by: [{ field_name: 'status' }] }, 'm-two m-one m-three'],
]

const DIFFERENT_LOGGED_MODELS: Recorded<LoggedModelQuestion> = [
  ["status = 'READY'", 'm-one', ''],
  [
    'last_updated_time < 900',
    'm-three',
    '400 Invalid comparison operator for attributes.last_updated_time',
  ],
  [
    'creation_timestamp LIKE 1',
    '400 Invalid comparison operator for attributes.creation_timestamp',
    '400 Invalid comparison operator for attributes.creation_timestamp_ms',
  ],
  [
    "creation_timestamp = 'a'",
    '400 Expected numeric value type for attributes.creation_timestamp. Found',
    '500',
  ],
  ["foo = 'a'", '400 Invalid attribute key', '500'],
  ["metrics.acc > 'a'", '400 Expected numeric value type for metrics.acc. Found', '500'],
  ['tags.team = "red"', 'm-three m-one', ''],
  ['  ', '400 Invalid filter', '400 Invalid filter string'],
  [
    { order_by: [{ field_name: 'last_updated_time' }] },
    'm-three m-two m-one',
    '400 Invalid order by field name',
  ],
]

describe('a search of experiments', () => {
  for (const [question, expected] of EXPERIMENTS) {
    test(`${JSON.stringify(question)} answers as MLflow does`, async () => {
      expect(await answer(experimentsFound, db, question, expected)).toEqual(expected)
    })
  }

  for (const [question, expected] of DIFFERENT_EXPERIMENTS) {
    test(`${JSON.stringify(question)} answers differently on purpose`, async () => {
      expect(await answer(experimentsFound, db, question, expected)).toEqual(expected)
    })
  }
})

describe('a search of registered models', () => {
  for (const [question, expected] of MODELS) {
    test(`${JSON.stringify(question)} answers as MLflow does`, async () => {
      expect(await answer(modelsFound, db, question, expected)).toEqual(expected)
    })
  }

  for (const [question, expected] of DIFFERENT_MODELS) {
    test(`${JSON.stringify(question)} answers differently on purpose`, async () => {
      expect(await answer(modelsFound, db, question, expected)).toEqual(expected)
    })
  }
})

describe('a search of model versions', () => {
  for (const [question, expected] of VERSIONS) {
    test(`${JSON.stringify(question)} answers as MLflow does`, async () => {
      expect(await answer(versionsFound, db, question, expected)).toEqual(expected)
    })
  }

  for (const [question, expected] of DIFFERENT_VERSIONS) {
    test(`${JSON.stringify(question)} answers differently on purpose`, async () => {
      expect(await answer(versionsFound, db, question, expected)).toEqual(expected)
    })
  }
})

describe('a search of logged models', () => {
  for (const [question, expected] of LOGGED_MODELS) {
    test(`${JSON.stringify(question)} answers as MLflow does`, async () => {
      expect(await answer(loggedModelsFound, db, question, expected)).toEqual(expected)
    })
  }

  for (const [question, expected] of DIFFERENT_LOGGED_MODELS) {
    test(`${JSON.stringify(question)} answers differently on purpose`, async () => {
      expect(await answer(loggedModelsFound, db, question, expected)).toEqual(expected)
    })
  }
})
