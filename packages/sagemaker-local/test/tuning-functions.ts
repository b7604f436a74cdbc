import type { ParameterSpace, Parameters } from '../src/tuning/parameter-space.ts'
import { suggestParameters } from '../src/tuning/suggest-parameters.ts'
import type { Trial, TuningStrategy } from '../src/tuning/trials.ts'

/** A function with a known least value, over a box. */
export interface TestFunction {
  name: string
  ranges: [min: number, max: number][]
  least: number
  valueAt(x: number[]): number
}

const HARTMANN_A = [
  [10, 3, 17, 3.5, 1.7, 8],
  [0.05, 10, 17, 0.1, 8, 14],
  [3, 3.5, 1.7, 10, 17, 8],
  [17, 8, 0.05, 10, 0.1, 14],
]
const HARTMANN_P = [
  [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
  [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
  [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
  [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
]

/** The usual ones, as in Surjanovic and Bingham's library of simulation experiments. */
export const TEST_FUNCTIONS: TestFunction[] = [
  {
    name: 'Branin',
    ranges: [
      [-5, 10],
      [0, 15],
    ],
    least: 0.397887,
    valueAt: ([x = 0, y = 0]) =>
      (y - (5.1 / (4 * Math.PI ** 2)) * x ** 2 + (5 / Math.PI) * x - 6) ** 2 +
      10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) +
      10,
  },
  {
    name: 'Hartmann-6',
    ranges: Array.from({ length: 6 }, () => [0, 1]),
    least: -3.32237,
    valueAt: (x) =>
      -[1, 1.2, 3, 3.2].reduce((sum, weight, row) => {
        const squares = x.reduce(
          (inner, at, column) =>
            inner + (HARTMANN_A[row]?.[column] ?? 0) * (at - (HARTMANN_P[row]?.[column] ?? 0)) ** 2,
          0,
        )
        return sum + weight * Math.exp(-squares)
      }, 0),
  },
  {
    name: 'Rosenbrock-4',
    ranges: Array.from({ length: 4 }, () => [-5, 10]),
    least: 0,
    valueAt: (x) =>
      x
        .slice(0, -1)
        .reduce((sum, at, i) => sum + 100 * ((x[i + 1] ?? 0) - at ** 2) ** 2 + (1 - at) ** 2, 0),
  },
  {
    name: 'Ackley-5',
    ranges: Array.from({ length: 5 }, () => [-32.768, 32.768]),
    least: 0,
    valueAt: (x) => {
      const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length
      return (
        -20 * Math.exp(-0.2 * Math.sqrt(mean(x.map((at) => at ** 2)))) -
        Math.exp(mean(x.map((at) => Math.cos(2 * Math.PI * at)))) +
        20 +
        Math.E
      )
    },
  },
]

/** How far the best of `budget` trials is from the least value, `parallel` of them at a time. */
export function regretOf(
  { ranges, least, valueAt }: TestFunction,
  {
    strategy,
    budget,
    parallel,
    seed,
  }: { strategy: TuningStrategy; budget: number; parallel: number; seed: number },
): number {
  const space: ParameterSpace = ranges.map(([min, max], index) => ({
    kind: 'continuous',
    name: `x${index}`,
    min,
    max,
    scaling: 'Linear',
  }))
  const at = (parameters: Parameters) => valueAt(space.map(({ name }) => Number(parameters[name])))
  const trials: Trial[] = []
  let best = Infinity
  for (let started = 0, ended = 0; ended < budget; ended++) {
    for (; started < budget && started - ended < parallel; started++) {
      const request = { strategy, space, goal: 'Minimize' as const, trials, seed }
      trials.push({ parameters: suggestParameters(request) ?? {}, status: 'running' })
    }
    const { parameters } = trials[ended] ?? { parameters: {} }
    const objective = at(parameters)
    trials[ended] = { parameters, status: 'succeeded', objective }
    best = Math.min(best, objective)
  }
  return best - least
}
