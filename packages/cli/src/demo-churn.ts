import { commit } from './demo-digits.ts'
import { createRandom, type Random } from './demo-random.ts'
import type { DemoFile, DemoProject, DemoRun } from './demo-run.ts'

/** Gradient boosting on a table: three searches with children, and a handful of single tries. */
export function churnProject(): DemoProject {
  const random = createRandom(23)
  const searches = (['depth', 'learning rate', 'features'] as const).map((focus, index) =>
    searchRun(random, focus, index),
  )
  const tries = Array.from({ length: 10 }, (_, index) =>
    boostingRun(random, {
      name: `try-${String(index + 1).padStart(2, '0')}`,
      startedMinutesAgo: 60 * 24 * 9 - index * 340,
      choice: {},
    }),
  )
  return {
    name: 'churn-forecast',
    note: 'Who cancels in the next 30 days. Scored on the customers of the latest quarter.',
    tags: { team: 'growth', owner: 'adaeze' },
    runs: [...tries, ...searches],
    model: {
      name: 'churn-scorer',
      description: 'Probability that a customer cancels within 30 days.',
      tags: { team: 'growth' },
      metric: 'val_auc',
      versions: [{ stage: 'Staging' }, { alias: 'champion' }],
    },
  }
}

function searchRun(random: Random, focus: string, index: number): DemoRun {
  const startedMinutesAgo = 60 * 24 * 4 - index * 60 * 26
  const children = Array.from({ length: 9 }, (_, child) =>
    boostingRun(random, {
      name: `trial-${child + 1}`,
      startedMinutesAgo: startedMinutesAgo - child * 7 - 1,
      choice: {
        ...(focus === 'depth' && { max_depth: 3 + child }),
        ...(focus === 'learning rate' && {
          learning_rate: [0.01, 0.02, 0.05, 0.1, 0.2][child % 5] ?? 0.1,
        }),
        ...(focus === 'features' && { colsample: 0.3 + child * 0.08 }),
      },
    }),
  )
  const best = Math.max(...children.map((child) => lastOf(child, 'val_auc')))
  return {
    name: `search ${focus}`,
    user: 'adaeze',
    startedMinutesAgo,
    minutes: 66,
    status: index === 2 ? 'KILLED' : 'FINISHED',
    params: { trials: 9, searched: focus },
    tags: { 'mlflow.source.name': 'search.py', 'mlflow.source.git.commit': commit(random) },
    curves: [{ key: 'best_val_auc', stepSize: 1, values: [best] }],
    artifacts: [],
    children,
  }
}

function lastOf(run: DemoRun, key: string): number {
  return run.curves.find((curve) => curve.key === key)?.values.at(-1) ?? 0
}

function boostingRun(
  random: Random,
  {
    name,
    startedMinutesAgo,
    choice,
  }: {
    name: string
    startedMinutesAgo: number
    choice: { max_depth?: number; learning_rate?: number; colsample?: number }
  },
): DemoRun {
  const max_depth = choice.max_depth ?? random.pick([4, 6, 8])
  const learning_rate = choice.learning_rate ?? random.pick([0.05, 0.1])
  const colsample_bytree = Number((choice.colsample ?? random.pick([0.6, 0.8])).toFixed(2))
  const rounds = 120
  const quality =
    0.871 -
    0.004 * Math.abs(max_depth - 6) -
    0.01 * Math.abs(Math.log10(learning_rate / 0.05)) -
    0.03 * Math.abs(colsample_bytree - 0.7) +
    random.normal() * 0.0015
  const speed = learning_rate * 0.7
  const auc = Array.from(
    { length: rounds },
    (_, round) => quality - 0.2 * Math.exp(-speed * round) + random.normal() * 0.0004,
  )
  const logloss = Array.from(
    { length: rounds },
    (_, round) =>
      0.62 - 0.9 * (quality - 0.5) * (1 - Math.exp(-speed * round)) + max_depth * 1e-5 * round,
  )
  const f1 = quality - 0.21 + random.normal() * 0.003
  return {
    name,
    user: random.pick(['adaeze', 'tomas']),
    startedMinutesAgo,
    minutes: 2 + max_depth * 0.4 + random.next(),
    status: 'FINISHED',
    params: {
      max_depth,
      learning_rate,
      colsample_bytree,
      n_estimators: rounds,
      min_child_weight: random.pick([1, 5]),
      objective: 'binary:logistic',
    },
    tags: { 'mlflow.source.name': 'train_churn.py', 'mlflow.source.git.commit': commit(random) },
    dataset: {
      name: 'customers-2025q1',
      rows: 184_223,
      columns: {
        tenure: 'long',
        plan: 'string',
        tickets: 'long',
        spend: 'double',
        churned: 'boolean',
      },
    },
    curves: [
      { key: 'val_auc', stepSize: 1, values: auc },
      { key: 'val_logloss', stepSize: 1, values: logloss },
      {
        key: 'test_auc',
        stepSize: 1,
        values: [(auc.at(-1) ?? 0) - 0.004 + random.normal() * 0.001],
      },
      { key: 'test_f1', stepSize: 1, values: [f1] },
      { key: 'fit_seconds', stepSize: 1, values: [max_depth * 3.1 + random.next() * 2] },
    ],
    artifacts: churnFiles(random, { max_depth, learning_rate }),
  }
}

function churnFiles(
  random: Random,
  settings: { max_depth: number; learning_rate: number },
): DemoFile[] {
  const features = ['tenure', 'tickets_30d', 'spend_trend', 'plan', 'last_login_days', 'region']
  const weights = features.map((_, index) => Math.exp(-index * 0.5) * (0.8 + random.next() * 0.4))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const importance = features.map((feature, index) => ({
    feature,
    gain: Number(((weights[index] ?? 0) / total).toFixed(4)),
  }))
  return [
    {
      path: 'feature_importance.csv',
      content: [
        'feature,gain',
        ...importance.map(({ feature, gain }) => `${feature},${gain}`),
      ].join('\n'),
    },
    { path: 'feature_importance.json', content: JSON.stringify(importance, null, 2) },
    {
      path: 'model/MLmodel',
      content: `artifact_path: model
flavors:
  python_function:
    data: model.xgb
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.xgboost
    python_version: 3.11.9
  xgboost:
    data: model.xgb
    model_class: xgboost.sklearn.XGBClassifier
    xgb_version: 2.1.4
mlflow_version: 2.22.0
signature:
  inputs: '[{"type": "long", "name": "tenure", "required": true}, {"type": "string", "name": "plan", "required": true}, {"type": "long", "name": "tickets_30d", "required": true}, {"type": "double", "name": "spend_trend", "required": true}, {"type": "long", "name": "last_login_days", "required": false}]'
  outputs: '[{"type": "double", "name": "p_churn", "required": true}]'
  params: '[{"name": "threshold", "type": "double", "default": 0.5, "shape": null}]'
`,
    },
    { path: 'model/requirements.txt', content: 'xgboost==2.1.4\npandas==2.2.3\n' },
    { path: 'settings.json', content: JSON.stringify({ booster: 'gbtree', ...settings }, null, 2) },
  ]
}
