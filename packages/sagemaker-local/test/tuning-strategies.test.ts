import { describe, expect, test } from 'vitest'
import { shouldStopByHyperband, shouldStopByMedian } from '../src/tuning/early-stopping.ts'
import {
  type ParameterSpace,
  type Parameters,
  parametersAt,
  parseParameterRanges,
  pointOf,
  pythonFloat,
} from '../src/tuning/parameter-space.ts'
import { suggestParameters } from '../src/tuning/suggest-parameters.ts'
import type { SuggestionRequest, Trial, TuningStrategy } from '../src/tuning/trials.ts'
import { regretOf, TEST_FUNCTIONS } from './tuning-functions.ts'

const space = parseParameterRanges({
  IntegerParameterRanges: [{ Name: 'depth', MinValue: '1', MaxValue: '4', ScalingType: 'Linear' }],
  ContinuousParameterRanges: [
    { Name: 'rate', MinValue: '0.0001', MaxValue: '1', ScalingType: 'Auto' },
    { Name: 'momentum', MinValue: '0', MaxValue: '0.999', ScalingType: 'ReverseLogarithmic' },
  ],
  CategoricalParameterRanges: [{ Name: 'kind', Values: ['a', 'b', 'c'] }],
})
const small = parseParameterRanges({
  IntegerParameterRanges: [{ Name: 'n', MinValue: '-1', MaxValue: '1' }],
  CategoricalParameterRanges: [{ Name: 'kind', Values: ['a', 'b'] }],
})

/** What a tuning job of `count` trials does, one at a time. */
function run(
  request: Partial<SuggestionRequest>,
  count: number,
  objective: (parameters: Parameters) => number = () => 0,
): Parameters[] {
  const trials: Trial[] = []
  for (let n = 0; n < count; n++) {
    const parameters = suggestParameters({
      strategy: 'Random',
      space,
      goal: 'Minimize',
      seed: 1,
      ...request,
      trials,
    })
    if (!parameters) break
    trials.push({ parameters, status: 'succeeded', objective: objective(parameters) })
  }
  return trials.map(({ parameters }) => parameters)
}

describe('strategies', () => {
  test.each(TEST_FUNCTIONS.slice(0, 3))(
    'Bayesian search is nearer to the least value of $name than random search, trial for trial',
    (target) => {
      const median = (strategy: TuningStrategy) =>
        [1, 2, 3]
          .map((seed) => regretOf(target, { strategy, budget: 20, parallel: 2, seed }))
          .toSorted((a, b) => a - b)[1]

      expect(median('Bayesian')).toBeLessThan((median('Random') ?? 0) / 2)
    },
  )

  test.each(['Random', 'Bayesian', 'Hyperband'] as const)(
    '%s suggests the same for the same seed, something else for another, and nothing twice',
    (strategy) => {
      const first = run({ strategy }, 8)

      expect(run({ strategy }, 8)).toEqual(first)
      expect(run({ strategy, seed: 2 }, 8)).not.toEqual(first)
      expect(new Set(first.map((parameters) => JSON.stringify(parameters))).size).toBe(8)
      for (const parameters of first) expect(pointOf(space, parameters)).toBeDefined()
    },
  )

  test.each(['Random', 'Bayesian', 'Hyperband'] as const)(
    '%s uses a finite space up and then ends',
    (strategy) => {
      const all = run({ strategy, space: small }, 10, ({ n }) => Number(n))

      expect(all.map(({ n, kind }) => `${n}${kind}`).toSorted()).toEqual([
        '-1a',
        '-1b',
        '0a',
        '0b',
        '1a',
        '1b',
      ])
    },
  )

  test('a grid goes through its combinations in their order', () => {
    const grid = parseParameterRanges({
      CategoricalParameterRanges: [
        { Name: 'x', Values: ['1', '2'] },
        { Name: 'y', Values: ['a', 'b'] },
      ],
    })

    expect(run({ strategy: 'Grid', space: grid }, 9).map(({ x, y }) => `${x}${y}`)).toEqual([
      '1a',
      '1b',
      '2a',
      '2b',
    ])
    expect(() => run({ strategy: 'Grid' }, 1)).toThrow("'depth' is integer")
  })

  test('Bayesian search finds the best category and integer, whichever way is better', () => {
    const objective = ({ depth, kind }: Parameters) =>
      Math.abs(Number(depth) - 3) + (kind === 'b' ? 0 : 2)
    const shareOf = (goal: 'Minimize' | 'Maximize', isBest: (one: Parameters) => boolean) =>
      run({ strategy: 'Bayesian', goal }, 24, objective).slice(12).filter(isBest).length

    expect(shareOf('Minimize', ({ depth, kind }) => depth === '3' && kind === 'b')).toBeGreaterThan(
      6,
    )
    expect(shareOf('Maximize', ({ depth, kind }) => depth === '1' && kind !== 'b')).toBeGreaterThan(
      6,
    )
  })

  test('several suggestions at a time are not one and the same place', () => {
    const square: ParameterSpace = ['x', 'y'].map((name) => ({
      kind: 'continuous',
      name,
      min: 0,
      max: 1,
      scaling: 'Linear',
    }))
    const objective = ({ x, y }: Parameters) => (Number(x) - 0.4) ** 2 + (Number(y) - 0.7) ** 2
    const request = { strategy: 'Bayesian', space: square, goal: 'Minimize', seed: 3 } as const
    const trials = run(request, 6, objective).map(
      (parameters): Trial => ({
        parameters,
        status: 'succeeded',
        objective: objective(parameters),
      }),
    )
    for (let n = 0; n < 4; n++) {
      trials.push({
        parameters: suggestParameters({ ...request, trials }) ?? {},
        status: 'running',
      })
    }
    const places = trials.slice(6).map(({ parameters }) => pointOf(square, parameters) ?? [])
    const gaps = places.flatMap(([x = 0, y = 0], i) =>
      places.slice(i + 1).map(([u = 0, v = 0]) => Math.hypot(x - u, y - v)),
    )

    expect(Math.min(...gaps)).toBeGreaterThan(0.02)
  })

  test('Bayesian search keeps away from where trials fail', () => {
    const trials: Trial[] = []
    const failed = (parameters: Parameters) => Number(parameters['rate']) > 0.01
    for (let n = 0; n < 24; n++) {
      const request = { strategy: 'Bayesian', space, goal: 'Minimize', trials, seed: 5 } as const
      const parameters = suggestParameters(request) ?? {}
      trials.push(
        failed(parameters)
          ? { parameters, status: 'failed' }
          : { parameters, status: 'succeeded', objective: -Number(parameters['rate']) },
      )
    }

    expect(trials.slice(12).filter(({ status }) => status === 'failed').length).toBeLessThan(6)
  })

  test.each(['IdenticalDataAndAlgorithm', 'TransferLearning'] as const)(
    'with %s a tuning job begins where its parent was good',
    (type) => {
      const objective = ({ depth, kind }: Parameters) =>
        Math.abs(Number(depth) - 2) + (kind === 'c' ? 0 : 5)
      const parent = run({ strategy: 'Random', seed: 9 }, 20, objective).map(
        (parameters): Trial => ({
          parameters,
          status: 'succeeded',
          // Another data set has another scale, which TransferLearning must not mind.
          objective: objective(parameters) * (type === 'TransferLearning' ? 1000 : 1),
        }),
      )

      const [first] = run({ strategy: 'Bayesian', warmStart: { type, parents: [parent] } }, 1)

      expect(first).toMatchObject({ kind: 'c' })
      expect(parent.map(({ parameters }) => parameters)).not.toContainEqual(first)
    },
  )

  test('a strategy lives with trials that are of no use to it', () => {
    const trials: Trial[] = [
      { parameters: {}, status: 'succeeded', objective: 1 },
      { parameters: { depth: '99' }, status: 'succeeded', objective: Number.NaN },
      ...run({}, 9).map((parameters): Trial => ({ parameters, status: 'succeeded', objective: 5 })),
    ]
    const request = { strategy: 'Bayesian', space, goal: 'Maximize', trials, seed: 1 } as const

    expect(pointOf(space, suggestParameters(request) ?? {})).toBeDefined()
  })
})

describe('ranges', () => {
  const one = (range: object) =>
    parseParameterRanges({ ContinuousParameterRanges: [range as never] })

  test.each([
    ['Linear', '0', '10', ['0.0', '5.0', '10.0']],
    ['Logarithmic', '0.01', '100', ['0.01', '1.0', '100.0']],
    ['ReverseLogarithmic', '0', '0.99', ['0.0', '0.9', '0.99']],
    ['Auto', '1', '10', ['1.0', '5.5', '10.0']],
    ['Auto', '1', '10000', ['1.0', '100.0', '10000.0']],
  ])(
    '%s scaling from %s to %s has its ends and its middle',
    (ScalingType, MinValue, MaxValue, texts) => {
      const range = one({ Name: 'x', MinValue, MaxValue, ScalingType })
      const values = [0, 0.5, 1].map((at) => Number(parametersAt(range, [at])['x']))

      for (const [index, text] of texts.entries()) {
        expect(values[index]).toBeCloseTo(Number(text), 10)
        expect(pointOf(range, { x: text })?.[0]).toBeCloseTo(index / 2, 10)
      }
    },
  )

  test('integers are printed as such, and their ends are as likely as the others', () => {
    const counts: Record<string, number> = {}
    for (let n = 0; n < 4000; n++) {
      const { depth = '' } = parametersAt(space, [(n + 0.5) / 4000, 0, 0, 0])
      counts[depth] = (counts[depth] ?? 0) + 1
    }

    expect(counts).toEqual({ '1': 1000, '2': 1000, '3': 1000, '4': 1000 })
  })

  test.each([
    [0.1, '0.1'],
    [1, '1.0'],
    [1e-5, '1e-05'],
    [0.0001, '0.0001'],
    [1.5e-7, '1.5e-07'],
    [123456789012345680, '1.2345678901234568e+17'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1e100, '1e+100'],
    [-0.25, '-0.25'],
    [0, '0.0'],
  ])('%d is printed as Python prints it', (value, text) => {
    expect(pythonFloat(value)).toBe(text)
  })

  test.each([
    [{ Name: 'x', MinValue: 'a', MaxValue: '1' }, "'a'"],
    [{ Name: 'x', MinValue: '2', MaxValue: '1' }, 'begins at 2'],
    [{ Name: 'x', MinValue: '0', MaxValue: '1', ScalingType: 'Logarithmic' }, 'above 0'],
    [{ Name: 'x', MinValue: '0', MaxValue: '1', ScalingType: 'ReverseLogarithmic' }, '0 <= x < 1'],
    [{ Name: 'x', MinValue: '0', MaxValue: '1', ScalingType: 'Cubic' }, "'Cubic'"],
  ])('a range that makes no sense is refused by name', (range, message) => {
    expect(() => one(range)).toThrow(message)
  })
})

describe('early stopping', () => {
  const curve = (...values: number[]) =>
    values.map((value, index) => ({ resource: index + 1, value }))

  test('a job worse than the median of running averages at its epoch is stopped', () => {
    // Running averages after two epochs: 3, 5 and 7.
    const others = [curve(4, 2, 1), curve(6, 4, 9), curve(8, 6)]
    const stops = (value: number, goal: 'Minimize' | 'Maximize') =>
      shouldStopByMedian({ goal, metrics: curve(99, value), others })

    expect(stops(5.1, 'Minimize')).toBe(true)
    expect(stops(4.9, 'Minimize')).toBe(false)
    expect(stops(4.9, 'Maximize')).toBe(true)
    expect(stops(Number.NaN, 'Maximize')).toBe(true)
  })

  test('a job ahead of the others is judged at the last epoch that three of them reached', () => {
    const others = [curve(1, 1), curve(1, 1), curve(1)]

    expect(shouldStopByMedian({ goal: 'Minimize', metrics: curve(9, 0), others })).toBe(true)
    expect(shouldStopByMedian({ goal: 'Minimize', metrics: curve(0, 9), others })).toBe(false)
  })

  test('nothing is stopped before there are three others with an epoch', () => {
    const others = [curve(1, 1), curve(1, 1), curve()]

    expect(shouldStopByMedian({ goal: 'Minimize', metrics: curve(9, 9), others })).toBe(false)
    expect(shouldStopByMedian({ goal: 'Minimize', metrics: [], others })).toBe(false)
  })

  test('Hyperband lets the best third go on at each rung, and ends all at the last', () => {
    const resources = { minResource: 1, maxResource: 9 }
    const others = [1, 2, 3, 4, 5].map((value) => curve(value, value, value))
    const stops = (...values: number[]) =>
      shouldStopByHyperband({ goal: 'Minimize', metrics: curve(...values), others }, resources)

    expect(stops(1.5)).toBe(false)
    expect(stops(2.5)).toBe(true)
    expect(stops(1.5, 1.5, 2.5)).toBe(true)
    expect(stops(0, 0, 0, 0, 0, 0, 0, 0, 0)).toBe(true)
    expect(() =>
      shouldStopByHyperband(
        { goal: 'Minimize', metrics: curve(1), others },
        { minResource: 9, maxResource: 9 },
      ),
    ).toThrow('MinResource')
  })
})
