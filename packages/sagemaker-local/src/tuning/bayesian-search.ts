import { condition, fitKernel, type GaussianProcess, type Observation } from './gaussian-process.ts'
import {
  firstNew,
  type Parameters,
  type Point,
  parametersAt,
  pointOf,
  snap,
} from './parameter-space.ts'
import { type RandomSource, randomSource } from './random-source.ts'
import type { Goal, SuggestionRequest, Trial } from './trials.ts'

const CANDIDATES = 1000
const REFINEMENTS = 4
const NEIGHBOURS = 120
// Beyond this a suggestion would take seconds and learn nothing from the old and the bad ones.
const OBSERVATIONS_MAX = 200
// What another data set or algorithm has shown is believed less, in units of its own variance.
const TRANSFER_NOISE = 0.5

/**
 * Bayesian search: a Gaussian process over what has been seen, and the place where it expects the
 * most improvement over the best. Running trials count as if they had ended where the process
 * expects them to, so that several at a time do not all go to one place; failed ones count as bad.
 */
export function suggestBayesian(
  request: SuggestionRequest,
  isNew: (parameters: Parameters) => boolean,
): Parameters | undefined {
  const { space, trials, seed } = request
  const random = randomSource(seed, `bayesian/${trials.length}`)
  const observations = observationsOf(request)
  const initial = Math.max(3, Math.min(space.length + 1, 12))
  const hasLearnt = request.warmStart !== undefined && observations.length >= initial
  if (!hasLearnt && (trials.length < initial || observations.length < 2)) {
    return initialParameters(request, isNew) ?? firstNew(space, isNew)
  }
  const isCategorical = space.map(({ kind }) => kind === 'categorical')
  const kernel = fitKernel(observations, isCategorical, random)
  const believed = condition(kernel, observations)
  const running = trials.flatMap((trial): Observation[] => {
    const point = trial.status === 'running' ? pointOf(space, trial.parameters) : undefined
    return point ? [{ point, value: believed.predict(point).mean, noise: 0 }] : []
  })
  const all = [...observations, ...running]
  const process = running.length > 0 ? condition(kernel, all) : believed
  const best = bestPoints(all)
  const found = mostPromising(process, { request, random, isNew, best })
  return found ? parametersAt(space, found) : firstNew(space, isNew)
}

/** A sequence that fills the space evenly, shifted by the seed. */
function initialParameters(
  { space, trials, seed }: SuggestionRequest,
  isNew: (parameters: Parameters) => boolean,
): Parameters | undefined {
  const shift = randomSource(seed, 'initial')
  const shifts = space.map(() => shift.uniform())
  const ratio = harmoniousNumber(space.length)
  for (let tries = 0; tries < 64; tries++) {
    const index = trials.length + 1 + tries * 101
    const point = shifts.map((start, dimension) => (start + index * ratio ** -(dimension + 1)) % 1)
    const parameters = parametersAt(space, point)
    if (isNew(parameters)) return parameters
  }
  return undefined
}

/** The root of x^(d+1) = x + 1: multiples of its powers spread over d dimensions without gaps. */
function harmoniousNumber(dimensions: number): number {
  let root = 2
  for (let step = 0; step < 32; step++) root = (1 + root) ** (1 / (dimensions + 1))
  return root
}

/** What a process can learn from, smaller being better, each tuning job in its own units. */
function observationsOf({ space, goal, trials, warmStart }: SuggestionRequest): Observation[] {
  const isTransfer = warmStart?.type === 'TransferLearning'
  const parents = warmStart?.parents ?? []
  const groups = isTransfer
    ? [
        ...parents.map((parent) => ({ trials: parent, noise: TRANSFER_NOISE })),
        { trials, noise: 0 },
      ]
    : [{ trials: [...parents.flat(), ...trials], noise: 0 }]
  const observations = groups.flatMap((group) => {
    const values = standardValues(group.trials, goal)
    return group.trials.flatMap((trial, index): Observation[] => {
      const point = pointOf(space, trial.parameters)
      const value = values[index]
      return point && value !== undefined ? [{ point, value, noise: group.noise }] : []
    })
  })
  if (observations.length <= OBSERVATIONS_MAX) return observations
  const kept = new Set([
    ...observations.toSorted(byValue).slice(0, OBSERVATIONS_MAX / 2),
    ...observations.slice(-OBSERVATIONS_MAX / 2),
  ])
  return observations.filter((observation) => kept.has(observation))
}

/**
 * Objectives with mean 0 and variance 1, smaller being better; undefined for a running trial.
 * Distances from the best are put on a logarithmic scale first: losses have long tails, and one
 * bad trial must not make all the good ones look alike.
 */
function standardValues(trials: Trial[], goal: Goal): (number | undefined)[] {
  const sign = goal === 'Maximize' ? -1 : 1
  const losses = trials.map(({ status, objective = Number.NaN }) =>
    status === 'succeeded' && Number.isFinite(objective) ? sign * objective : undefined,
  )
  const known = losses.filter((loss) => loss !== undefined)
  if (known.length === 0) return losses
  const least = Math.min(...known)
  const middle = median(known.map((loss) => loss - least).filter((loss) => loss > 0))
  const toLog = (loss: number) => Math.log1p((loss - least) / middle)
  const logs = known.map(toLog)
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / logs.length
  const deviation = Math.sqrt(variance) || 1
  const worst = (Math.max(...logs) - mean) / deviation
  return trials.map(({ status }, index) => {
    const loss = losses[index]
    if (loss !== undefined) return (toLog(loss) - mean) / deviation
    return status === 'running' ? undefined : worst
  })
}

function median(values: number[]): number {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.floor(sorted.length / 2)] ?? 1
}

function bestPoints(observations: Observation[]): Observation[] {
  return observations.toSorted(byValue).slice(0, 5)
}

function byValue(left: Observation, right: Observation): number {
  return left.value - right.value
}

interface Search {
  request: SuggestionRequest
  random: RandomSource
  isNew: (parameters: Parameters) => boolean
  best: Observation[]
}

/** The new place with the most expected improvement: many everywhere, then ever closer to the best. */
function mostPromising(process: GaussianProcess, search: Search): Point | undefined {
  const { request, random, isNew, best } = search
  const { space } = request
  // The best value as the process sees it: a lucky noisy trial is no reason to stay where it was.
  const target = Math.min(...best.map(({ point }) => process.predict(point).mean))
  const rated: { point: Point; gain: number }[] = []
  const rate = (candidate: Point) => {
    const point = snap(space, candidate)
    rated.push({ point, gain: logImprovement(process.predict(point), target) })
  }
  for (let n = 0; n < CANDIDATES; n++) rate(space.map(() => random.uniform()))
  for (const { point } of best) {
    for (let n = 0; n < NEIGHBOURS; n++) rate(near(search, point, 0.25 * 0.5 ** (n % 6)))
  }
  let width = 0.1
  for (let round = 0; round < REFINEMENTS; round++) {
    const top = rated.toSorted((left, right) => right.gain - left.gain).slice(0, 4)
    for (const { point } of top) {
      for (let n = 0; n < NEIGHBOURS / 4; n++) rate(near(search, point, width))
    }
    width /= 3
  }
  rated.sort((left, right) => right.gain - left.gain)
  return rated.find(({ point }) => isNew(parametersAt(space, point)))?.point
}

/** A place beside another one: some of its coordinates moved, some of its categories changed. */
function near({ request: { space }, random }: Search, point: Point, width: number): Point {
  const share = Math.max(0.3, 1.5 / space.length)
  return point.map((at, index) => {
    if (random.uniform() > share) return at
    if (space[index]?.kind === 'categorical') return random.uniform()
    return Math.min(Math.max(at + width * random.normal(), 0), 1)
  })
}

/** The logarithm of the expected improvement, which stays told apart where it is next to nothing. */
function logImprovement(
  { mean, deviation }: { mean: number; deviation: number },
  target: number,
): number {
  const z = (target - mean) / deviation
  if (z < -6) return Math.log(deviation) - z ** 2 / 2 - 2 * Math.log(-z) - 0.919
  const density = Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI)
  return Math.log(deviation * (z * cumulative(z) + density) + Number.MIN_VALUE)
}

/** The standard normal distribution, by Abramowitz and Stegun 7.1.26 (error below 1.5e-7). */
function cumulative(z: number): number {
  const x = Math.abs(z) / Math.SQRT2
  const t = 1 / (1 + 0.3275911 * x)
  const series =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  const tail = (series * Math.exp(-x * x)) / 2
  return z < 0 ? tail : 1 - tail
}
