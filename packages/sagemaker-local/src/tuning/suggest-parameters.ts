import { invalid } from '@millrace/api/errors'
import { suggestBayesian } from './bayesian-search.ts'
import {
  firstNew,
  type ParameterSpace,
  type Parameters,
  parametersAt,
  sizeOf,
} from './parameter-space.ts'
import { randomSource } from './random-source.ts'
import type { SuggestionRequest } from './trials.ts'

const TRIES = 64

/**
 * The parameters of the next trial, as texts; undefined when a finite space is used up. A function
 * of its request alone: the caller keeps the history. For several at a time ask again with the
 * first one added to `trials` as running.
 */
export function suggestParameters(request: SuggestionRequest): Parameters | undefined {
  const { strategy, space, trials, seed, warmStart } = request
  if (strategy === 'Grid') {
    if (warmStart) throw invalid('A grid search cannot be warm started')
    return gridCell(space, trials.length)
  }
  const isNew = newParameters(request)
  if (strategy === 'Bayesian') return suggestBayesian(request, isNew)
  const random = randomSource(seed, `random/${trials.length}`)
  for (let tries = 0; tries < TRIES; tries++) {
    const parameters = parametersAt(
      space,
      space.map(() => random.uniform()),
    )
    if (isNew(parameters)) return parameters
  }
  return firstNew(space, isNew)
}

/** How many trials a grid has. Refuses ranges of numbers, as SageMaker does. */
export function gridSize(space: ParameterSpace): number {
  const numeric = space.find(({ kind }) => kind !== 'categorical')
  if (numeric) {
    throw invalid(
      `Grid search takes categorical parameters only; '${numeric.name}' is ${numeric.kind}`,
    )
  }
  return sizeOf(space)
}

function gridCell(space: ParameterSpace, index: number): Parameters | undefined {
  if (index >= gridSize(space)) return undefined
  let rest = index
  const parameters: Parameters = {}
  for (const range of space.toReversed()) {
    if (range.kind !== 'categorical') continue
    parameters[range.name] = range.values[rest % range.values.length] ?? ''
    rest = Math.floor(rest / range.values.length)
  }
  return parameters
}

/** Whether parameters have not been tried, by this tuning job or by a parent that is just like it. */
function newParameters({ space, trials, warmStart }: SuggestionRequest) {
  const keyOf = (parameters: Parameters) =>
    JSON.stringify(space.map(({ name }) => parameters[name]))
  const same = warmStart?.type === 'IdenticalDataAndAlgorithm' ? warmStart.parents.flat() : []
  const tried = new Set([...trials, ...same].map(({ parameters }) => keyOf(parameters)))
  return (parameters: Parameters) => !tried.has(keyOf(parameters))
}
