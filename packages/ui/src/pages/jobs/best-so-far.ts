import type { TuningJobDetails, TuningTrial } from '@millrace/api/sagemaker-pages'

/** The objectives of trials in the order in which they ended, and the best one until then. */
export interface BestSoFar {
  /** From 1: how many trials had ended with an objective. */
  xs: number[]
  values: number[]
  best: number[]
}

export function bestSoFar({ trials, objective }: Pick<TuningJobDetails, 'trials' | 'objective'>) {
  const ended = trials
    .flatMap((trial) => {
      const { objective: value, endedMs } = trial
      return value === undefined || endedMs === undefined ? [] : [{ value, endedMs }]
    })
    .sort((a, b) => a.endedMs - b.endedMs)
  const curve: BestSoFar = { xs: [], values: [], best: [] }
  for (const [index, { value }] of ended.entries()) {
    const before = curve.best.at(-1) ?? value
    const isBetter = objective?.goal === 'Minimize' ? value < before : value > before
    curve.xs.push(index + 1)
    curve.values.push(value)
    curve.best.push(isBetter ? value : before)
  }
  return curve
}

/** The trials from the best one down; those without an objective last, the newest first. */
export function sortTrials({
  trials,
  objective,
}: Pick<TuningJobDetails, 'trials' | 'objective'>): TuningTrial[] {
  const sign = objective?.goal === 'Minimize' ? 1 : -1
  return [...trials].sort((a, b) => {
    if (a.objective === undefined && b.objective === undefined) return b.createdMs - a.createdMs
    if (a.objective === undefined) return 1
    if (b.objective === undefined) return -1
    return sign * (a.objective - b.objective)
  })
}
