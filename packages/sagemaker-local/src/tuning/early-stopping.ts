import { invalid } from '@millrace/api/errors'
import type { Goal } from './trials.ts'

/** An objective that a job printed on its way. */
export interface IntermediateMetric {
  /** Epochs, or whatever the job counts: the first value is of resource 1. */
  resource: number
  value: number
}

export interface StoppingQuestion {
  goal: Goal
  /** What the job in question has printed so far, oldest first. */
  metrics: IntermediateMetric[]
  /** What the other jobs of the tuning job have printed, ended or not. */
  others: IntermediateMetric[][]
}

// A median of fewer says nothing.
const OTHERS_MIN = 3
const REDUCTION = 3

/**
 * Whether `TrainingJobEarlyStoppingType: Auto` ends a job: its value is worse than the median of the
 * running averages of the other jobs up to the same epoch (SageMaker's documented rule). That epoch
 * is its latest one that enough others have reached, so a job that is ahead of all is judged too.
 */
export function shouldStopByMedian({ goal, metrics, others }: StoppingQuestion): boolean {
  const reached = others
    .map((other) => other.at(-1)?.resource ?? 0)
    .toSorted((left, right) => right - left)
  const comparable = reached[OTHERS_MIN - 1] ?? 0
  const latest = metrics.findLast(({ resource }) => resource <= comparable)
  if (!latest) return false
  const averages = others
    .filter((other) => other.some(({ resource }) => resource >= latest.resource))
    .map((other) => averageUpTo(other, latest.resource))
    .filter((average) => average !== undefined)
  if (averages.length < OTHERS_MIN) return false
  const sorted = averages.toSorted((left, right) => left - right)
  const half = Math.floor(sorted.length / 2)
  const upper = sorted[half] ?? Number.NaN
  const median = sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2
  return isWorse(goal, latest.value, median)
}

/** What Hyperband is told: the epochs after which it may first stop a job, and at which it ends. */
export interface HyperbandResources {
  minResource: number
  maxResource: number
}

/**
 * Whether Hyperband ends a job: at each rung (`minResource` times a power of 3) only the best third
 * of those that have come so far go on (asynchronous successive halving, so no job waits for
 * another), and nothing runs beyond `maxResource`.
 */
export function shouldStopByHyperband(
  { goal, metrics, others }: StoppingQuestion,
  { minResource, maxResource }: HyperbandResources,
): boolean {
  const reached = Math.max(0, ...metrics.map(({ resource }) => resource))
  if (reached >= maxResource) return true
  return rungsOf({ minResource, maxResource })
    .filter((rung) => rung <= reached)
    .some((rung) => {
      const own = valueAt(metrics, rung)
      if (own === undefined) return false
      const rivals = others.map((other) => valueAt(other, rung)).filter((one) => one !== undefined)
      const better = rivals.filter((rival) => isWorse(goal, own, rival)).length
      const places = Math.max(1, Math.floor((rivals.length + 1) / REDUCTION))
      return rivals.length + 1 >= REDUCTION && better >= places
    })
}

/** The epochs at which Hyperband compares; refuses bounds that make none. */
export function rungsOf({ minResource, maxResource }: HyperbandResources): number[] {
  if (!(minResource >= 1 && maxResource > minResource)) {
    throw invalid(
      `Hyperband needs 1 <= MinResource < MaxResource, not ${minResource} and ${maxResource}`,
    )
  }
  const rungs: number[] = []
  for (let rung = minResource; rung < maxResource; rung *= REDUCTION) rungs.push(rung)
  return rungs
}

function averageUpTo(metrics: IntermediateMetric[], resource: number): number | undefined {
  const values = metrics
    .filter((metric) => metric.resource <= resource && Number.isFinite(metric.value))
    .map(({ value }) => value)
  if (values.length === 0) return undefined
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The value at a rung: the first one printed there or later. */
function valueAt(metrics: IntermediateMetric[], rung: number): number | undefined {
  return metrics.find(({ resource }) => resource >= rung)?.value
}

/** A value that is no number is worse than any. */
function isWorse(goal: Goal, value: number, other: number): boolean {
  if (Number.isNaN(other)) return false
  if (Number.isNaN(value)) return true
  return goal === 'Maximize' ? value < other : value > other
}
