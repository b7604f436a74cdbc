import { commit } from './demo-digits.ts'
import { createRandom, type Random } from './demo-random.ts'
import type { DemoProject, DemoRun } from './demo-run.ts'

/** Weekly forecasts of several shops: no curves, many metrics, one number each. */
export function demandProject(): DemoProject {
  const random = createRandom(51)
  return {
    name: 'logistics/demand-forecast',
    note: '',
    tags: { team: 'logistics' },
    runs: Array.from({ length: 16 }, (_, week) => demandRun(random, week)),
  }
}

const REGIONS = ['north', 'south', 'east', 'west'] as const

function demandRun(random: Random, week: number): DemoRun {
  const model = random.pick(['ets', 'prophet', 'lightgbm'])
  const horizon = 14
  const base = { ets: 0.142, prophet: 0.128, lightgbm: 0.109 }[model] + random.normal() * 0.006
  const errors = REGIONS.map((region) => ({
    region,
    mape: base * (region === 'west' ? 1.3 : 1) * (1 + random.normal() * 0.07),
  }))
  const mean = errors.reduce((sum, { mape }) => sum + mape, 0) / errors.length
  return {
    name: `week-${String(week + 7).padStart(2, '0')}-${model}`,
    user: 'scheduler',
    startedMinutesAgo: 60 * 24 * 7 * (16 - week) - 300,
    minutes: 6 + random.next() * 5,
    status: 'FINISHED',
    params: { model, horizon, holidays: random.pick(['none', 'national', 'regional']), shops: 212 },
    tags: {
      'mlflow.source.name': 'forecast.py',
      'mlflow.source.type': 'JOB',
      'mlflow.source.git.commit': commit(random),
      week: String(week + 7),
    },
    curves: [
      ...errors.map(({ region, mape }) => ({ key: `mape/${region}`, stepSize: 1, values: [mape] })),
      { key: 'mape/all', stepSize: 1, values: [mean] },
      { key: 'bias', stepSize: 1, values: [random.normal() * 0.02] },
    ],
    artifacts: [
      {
        path: 'forecast.csv',
        content: [
          'day,region,forecast,low,high',
          ...REGIONS.flatMap((region) =>
            Array.from({ length: horizon }, (_, day) => {
              const level = 900 + 120 * Math.sin((day / 7) * 2 * Math.PI) + random.normal() * 20
              return `${day + 1},${region},${level.toFixed(1)},${(level * 0.9).toFixed(1)},${(level * 1.1).toFixed(1)}`
            }),
          ),
        ].join('\n'),
      },
    ],
  }
}
