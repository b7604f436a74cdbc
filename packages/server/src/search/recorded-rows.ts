import type { TestRun } from './test-rows.ts'

/** The rows behind the answers that `recorded-*.test.ts` hold; stock MLflow was given the same. */

const nothing = { metrics: {}, params: {}, tags: {}, datasets: [], stage: 0, end_time: null }

/** `uuid` is filled up to 32 digits; `experiment` 1 is the one that is searched. */
export const RECORDED_RUNS: readonly TestRun[] = [
  {
    ...nothing,
    uuid: '1a',
    experiment: 1,
    name: 'alpha',
    user_id: 'ann',
    status: 3,
    start_time: 1000,
    end_time: 2000,
    metrics: { acc: 0.9, loss: 0.1, zero: 0 },
    params: { lr: '0.1', opt: 'adam' },
    tags: { team: 'red', 'a b': 'x y', 'mlflow.user': 'ann' },
    datasets: [{ name: 'train_set', digest: 'd1', context: 'training' }],
  },
  {
    ...nothing,
    uuid: '2b',
    experiment: 1,
    name: 'beta',
    user_id: 'bob',
    status: 1,
    start_time: 2000,
    metrics: { acc: Number.NaN, loss: 0.5 },
    params: { lr: '0.01', opt: 'Adam' },
    tags: { team: 'Blue' },
    datasets: [{ name: 'train_set', digest: 'd1', context: 'eval' }],
  },
  {
    ...nothing,
    uuid: '3c',
    experiment: 1,
    name: 'gamma',
    user_id: 'ann',
    status: 4,
    start_time: 3000,
    end_time: 3500,
    metrics: { acc: 0.5, loss: Number.POSITIVE_INFINITY, zero: Number.NaN },
    params: { opt: 'sgd', 'x.': 'dot' },
    tags: { team: 'red', note: "it's 100% a_b" },
    datasets: [{ name: 'test_set', digest: 'd2', context: null }],
  },
  {
    ...nothing,
    uuid: '4d',
    experiment: 1,
    name: 'delta',
    user_id: 'eve',
    status: 3,
    start_time: 3000,
    end_time: 4000,
    params: { lr: '0.1', x: "it''s" },
  },
  {
    ...nothing,
    uuid: '5e',
    experiment: 1,
    name: 'Alpha',
    user_id: 'ann',
    status: 5,
    start_time: 500,
    end_time: 600,
    metrics: { acc: 0.9, '1x': 3, 'top.5': 1 },
    params: { lr: '1e-3', path: 'C:\\dir\\' },
    tags: { team: '' },
    datasets: [
      { name: 'train_set', digest: 'd1', context: 'training' },
      { name: 'test_set', digest: 'd2', context: 'eval' },
    ],
  },
  {
    ...nothing,
    uuid: '6f',
    experiment: 1,
    name: 'omega',
    user_id: 'ann',
    status: 3,
    start_time: 9000,
    end_time: 9100,
    stage: 1,
    metrics: { acc: 0.99 },
  },
]

/** Created in this order from time 100 on, each 100 later; all but the last are active. */
export const RECORDED_EXPERIMENTS: readonly { name: string; tags: Record<string, string> }[] = [
  { name: 'Default', tags: {} },
  { name: 'churn', tags: { team: 'red', owner: 'ann' } },
  { name: 'Churn-2', tags: { team: 'Blue' } },
  { name: 'vision', tags: { team: 'red', 'a.b': '1' } },
  { name: 'gone', tags: { team: 'red' } },
]

/** Created in this order from time 1000 on, each thing 10 later: a model, then its versions. */
export const RECORDED_MODELS: readonly {
  name: string
  tags: Record<string, string>
  versions: { source: string; run_id: string; tags: Record<string, string> }[]
}[] = [
  {
    name: 'churn',
    tags: { team: 'red', tier: '1' },
    versions: [
      { source: 's3://b/churn/1', run_id: 'r1', tags: { ok: 'yes' } },
      { source: 's3://b/churn/2', run_id: 'r2', tags: { ok: 'no', 'a.b': 'x' } },
    ],
  },
  {
    name: 'Churn2',
    tags: { team: 'Blue' },
    versions: [{ source: 's3://b/other', run_id: 'r1', tags: {} }],
  },
  { name: 'vision', tags: { team: 'red' }, versions: [] },
  {
    name: 'greeting',
    tags: { 'mlflow.prompt.is_prompt': 'true', team: 'red' },
    versions: [
      {
        source: 'dummy-source',
        run_id: '',
        tags: { 'mlflow.prompt.is_prompt': 'true', ok: 'yes' },
      },
    ],
  },
]

/** Created in this order from time 100 on, each 100 later, in experiment 1. */
export const RECORDED_LOGGED_MODELS: readonly {
  name: string
  model_type: string
  source_run_id: string
  /** 1 PENDING, 2 READY, 3 UPLOAD_FAILED */
  status: number
  params: Record<string, string>
  tags: Record<string, string>
  metrics: {
    key: string
    value: number
    timestamp: number
    step: number
    dataset_name?: string
    dataset_digest?: string
  }[]
}[] = [
  {
    name: 'm-one',
    model_type: 'agent',
    source_run_id: '1a',
    status: 2,
    params: { lr: '0.1', opt: 'adam' },
    tags: { team: 'red' },
    metrics: [
      { key: 'acc', value: 0.9, timestamp: 1, step: 0 },
      { key: 'acc', value: 0.4, timestamp: 2, step: 0, dataset_name: 'd', dataset_digest: 'x' },
    ],
  },
  {
    name: 'm-two',
    model_type: '',
    source_run_id: '2b',
    status: 1,
    params: { lr: '1' },
    tags: { team: 'Blue' },
    metrics: [
      { key: 'acc', value: 0.7, timestamp: 1, step: 0, dataset_name: 'd', dataset_digest: 'y' },
    ],
  },
  {
    name: 'm-three',
    model_type: 'agent',
    source_run_id: '1a',
    status: 3,
    params: {},
    tags: { team: 'red', note: 'a "b"' },
    metrics: [{ key: 'loss', value: 0.1, timestamp: 1, step: 5 }],
  },
]
