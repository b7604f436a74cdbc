import type { RandomSource } from './random-source.ts'

/** What was seen at a place; `noise` is added to the variance there (in the units of `value`²). */
export interface Observation {
  point: number[]
  value: number
  noise: number
}

/** How the process varies: by these lengths, one per dimension, with this noise everywhere. */
export interface Kernel {
  lengths: number[]
  noise: number
  /** Dimensions in which two places are the same or not, and nothing between. */
  isCategorical: boolean[]
}

/** A Gaussian process that has seen its observations. Values are best near mean 0, variance 1. */
export interface GaussianProcess {
  /** Mean and standard deviation at a place. */
  predict(point: number[]): { mean: number; deviation: number }
}

const STARTS = 12
const STEPS = 48
const LENGTH_MEDIAN = 0.5
const NOISE_MEDIAN = 1e-3
const JITTER = 1e-8

/** Conditions a process with a Matérn 5/2 kernel on observations. */
export function condition(kernel: Kernel, observations: Observation[]): GaussianProcess {
  const factor = cholesky(covariance(kernel, observations))
  const weights = solve(
    factor,
    observations.map(({ value }) => value),
  )
  return {
    predict: (point) => {
      const similar = observations.map((seen) => similarity(kernel, point, seen.point))
      const mean = dot(similar, weights)
      const whitened = forward(factor, similar)
      return { mean, deviation: Math.sqrt(Math.max(1 - dot(whitened, whitened), 1e-12)) }
    },
  }
}

/**
 * The kernel under which the observations are most likely, with weak preferences for middling
 * lengths and little noise: the best of some guesses, then improved by steps at random.
 */
export function fitKernel(
  observations: Observation[],
  isCategorical: boolean[],
  random: RandomSource,
): Kernel {
  const toKernel = (logs: number[]): Kernel => ({
    lengths: logs.slice(1).map((log) => LENGTH_MEDIAN * Math.exp(log)),
    noise: NOISE_MEDIAN * Math.exp(2 * (logs[0] ?? 0)),
    isCategorical,
  })
  const score = (logs: number[]) =>
    logLikelihood(toKernel(logs), observations) - dot(logs, logs) / 2

  let best = [0, ...isCategorical.map(() => 0)]
  let bestScore = score(best)
  const tryOut = (logs: number[]) => {
    const found = score(logs)
    if (found <= bestScore) return
    best = logs
    bestScore = found
  }
  for (let start = 0; start < STARTS; start++) tryOut(best.map(() => random.normal()))
  for (let step = 0; step < STEPS; step++) {
    const width = 0.6 * 0.97 ** step
    const only = step % 2 === 0 ? Math.floor(random.uniform() * best.length) : undefined
    tryOut(
      best.map((log, index) =>
        only === undefined || only === index ? log + width * random.normal() : log,
      ),
    )
  }
  return toKernel(best)
}

function logLikelihood(kernel: Kernel, observations: Observation[]): number {
  const factor = cholesky(covariance(kernel, observations))
  const whitened = forward(
    factor,
    observations.map(({ value }) => value),
  )
  const logDeterminant = factor.reduce((sum, row, index) => sum + Math.log(row[index] ?? 1), 0)
  return -dot(whitened, whitened) / 2 - logDeterminant
}

function covariance(kernel: Kernel, observations: Observation[]): Float64Array[] {
  return observations.map(({ point, noise }, row) => {
    const values = new Float64Array(row + 1)
    for (let column = 0; column < row; column++) {
      values[column] = similarity(kernel, point, observations[column]?.point ?? [])
    }
    values[row] = 1 + kernel.noise + noise + JITTER
    return values
  })
}

/** Matérn 5/2: twice differentiable, which fits losses better than the smoother kernels. */
function similarity({ lengths, isCategorical }: Kernel, left: number[], right: number[]): number {
  let squares = 0
  for (let index = 0; index < lengths.length; index++) {
    const apart = (left[index] as number) - (right[index] as number)
    const distance = isCategorical[index] ? Number(apart !== 0) : apart
    squares += (distance / (lengths[index] as number)) ** 2
  }
  const scaled = Math.sqrt(5 * squares)
  return (1 + scaled + (5 / 3) * squares) * Math.exp(-scaled)
}

/** The lower triangle whose product with itself is a positive definite matrix, row by row. */
function cholesky(matrix: Float64Array[]): Float64Array[] {
  const factor: Float64Array[] = []
  for (const [row, values] of matrix.entries()) {
    const result = new Float64Array(row + 1)
    for (let column = 0; column <= row; column++) {
      const other = column === row ? result : (factor[column] as Float64Array)
      let sum = values[column] as number
      for (let k = 0; k < column; k++) sum -= (result[k] as number) * (other[k] as number)
      result[column] =
        column === row ? Math.sqrt(Math.max(sum, JITTER)) : sum / (other[column] as number)
    }
    factor.push(result)
  }
  return factor
}

function forward(factor: Float64Array[], values: number[]): number[] {
  const result: number[] = []
  for (const [row, coefficients] of factor.entries()) {
    let sum = values[row] as number
    for (let k = 0; k < row; k++) sum -= (coefficients[k] as number) * (result[k] as number)
    result.push(sum / (coefficients[row] as number))
  }
  return result
}

function solve(factor: Float64Array[], values: number[]): number[] {
  const result = forward(factor, values)
  for (let row = factor.length - 1; row >= 0; row--) {
    let sum = result[row] as number
    for (let k = row + 1; k < factor.length; k++) {
      sum -= (factor[k]?.[row] as number) * (result[k] as number)
    }
    result[row] = sum / (factor[row]?.[row] as number)
  }
  return result
}

function dot(left: number[], right: number[]): number {
  let sum = 0
  for (let index = 0; index < left.length; index++) {
    sum += (left[index] as number) * (right[index] as number)
  }
  return sum
}
