import { invalid } from '@millrace/api/errors'

export type ScalingType = 'Auto' | 'Linear' | 'Logarithmic' | 'ReverseLogarithmic'

/** A number from `min` to `max`, both included. */
export interface NumericRange {
  kind: 'integer' | 'continuous'
  name: string
  min: number
  max: number
  scaling: Exclude<ScalingType, 'Auto'>
}

export interface CategoricalRange {
  kind: 'categorical'
  name: string
  values: string[]
}

export type ParameterRange = NumericRange | CategoricalRange

/** What is tuned, in a fixed order. */
export type ParameterSpace = ParameterRange[]

/** Parameters as SageMaker passes them: `"3"`, `"0.1"`, `"1e-05"`, or a category. */
export type Parameters = Record<string, string>

/**
 * A place in the space, one number from 0 to 1 for each range. Of a category it is the middle of its
 * share; of a number its place on the scale.
 */
export type Point = number[]

/** SageMaker's `ParameterRanges`, in which numbers are texts. */
export interface ParameterRanges {
  IntegerParameterRanges?: NumericParameterRange[] | undefined
  ContinuousParameterRanges?: NumericParameterRange[] | undefined
  CategoricalParameterRanges?: { Name: string; Values: string[] }[] | undefined
}

interface NumericParameterRange {
  Name: string
  MinValue: string
  MaxValue: string
  ScalingType?: string | undefined
}

// From this ratio of the ends on, what is tuned is more often an order of magnitude than a number.
const AUTO_LOGARITHMIC_RATIO = 100

/** Reads SageMaker's ranges; `INVALID_PARAMETER_VALUE` names the range that makes no sense. */
export function parseParameterRanges(ranges: ParameterRanges): ParameterSpace {
  const space = [
    ...(ranges.IntegerParameterRanges ?? []).map((range) => numericRange('integer', range)),
    ...(ranges.ContinuousParameterRanges ?? []).map((range) => numericRange('continuous', range)),
    ...(ranges.CategoricalParameterRanges ?? []).map(
      ({ Name, Values }): CategoricalRange => ({
        kind: 'categorical',
        name: Name,
        values: [...new Set(Values)],
      }),
    ),
  ]
  const names = new Set<string>()
  for (const range of space) {
    if (names.has(range.name)) throw invalid(`The parameter '${range.name}' has two ranges`)
    names.add(range.name)
    if (range.kind === 'categorical' && range.values.length === 0) {
      throw invalid(`The categorical parameter '${range.name}' has no values`)
    }
  }
  return space
}

function numericRange(
  kind: 'integer' | 'continuous',
  { Name, MinValue, MaxValue, ScalingType: scaling = 'Auto' }: NumericParameterRange,
): NumericRange {
  const [min, max] = [MinValue, MaxValue].map(Number) as [number, number]
  const isNumber = (text: string, value: number) =>
    text.trim() !== '' &&
    (kind === 'integer' ? Number.isSafeInteger(value) : Number.isFinite(value))
  if (!isNumber(MinValue, min) || !isNumber(MaxValue, max)) {
    throw invalid(
      `The ${kind} parameter '${Name}' goes from '${MinValue}' to '${MaxValue}', which are not ${kind === 'integer' ? 'integers' : 'numbers'}`,
    )
  }
  if (min > max) throw invalid(`The range of '${Name}' begins at ${min}, behind its end ${max}`)
  return { kind, name: Name, min, max, scaling: resolveScaling(Name, scaling, { min, max, kind }) }
}

function resolveScaling(
  name: string,
  scaling: string,
  { min, max, kind }: Pick<NumericRange, 'min' | 'max' | 'kind'>,
): NumericRange['scaling'] {
  if (scaling === 'Auto') {
    return min > 0 && max / min >= AUTO_LOGARITHMIC_RATIO ? 'Logarithmic' : 'Linear'
  }
  if (scaling === 'Logarithmic') {
    if (min > 0) return scaling
    throw invalid(`Logarithmic scaling of '${name}' needs a range above 0, not one from ${min}`)
  }
  if (scaling === 'ReverseLogarithmic') {
    if (kind === 'continuous' && min >= 0 && max < 1) return scaling
    throw invalid(
      `ReverseLogarithmic scaling of '${name}' needs a continuous range within 0 <= x < 1`,
    )
  }
  if (scaling === 'Linear') return scaling
  throw invalid(`'${scaling}' of '${name}' is no scaling type`)
}

/** The parameters at a place, as texts. */
export function parametersAt(space: ParameterSpace, point: Point): Parameters {
  return Object.fromEntries(
    space.map((range, index) => [range.name, textAt(range, point[index] ?? 0)]),
  )
}

/** The place of parameters; undefined when one is missing or outside of its range. */
export function pointOf(space: ParameterSpace, parameters: Parameters): Point | undefined {
  const point = space.map((range) => placeOf(range, parameters[range.name]))
  return point.includes(undefined) ? undefined : (point as Point)
}

/** The nearest place that some parameters have: integers and categories have few of them. */
export function snap(space: ParameterSpace, point: Point): Point {
  return space.map((range, index) => {
    const at = point[index] ?? 0
    if (range.kind === 'continuous') return Math.min(Math.max(at, 0), 1)
    return placeOf(range, textAt(range, at)) ?? 0
  })
}

/** How many combinations there are; Infinity with a continuous range. */
export function sizeOf(space: ParameterSpace): number {
  return space.reduce((product, range) => {
    if (range.kind === 'categorical') return product * range.values.length
    if (range.min === range.max) return product
    return product * (range.kind === 'integer' ? range.max - range.min + 1 : Infinity)
  }, 1)
}

/** The first combination of a finite space that is new; undefined when there is none. */
export function firstNew(
  space: ParameterSpace,
  isNew: (parameters: Parameters) => boolean,
): Parameters | undefined {
  const size = sizeOf(space)
  if (!Number.isFinite(size)) return undefined
  for (let index = 0; index < size; index++) {
    let rest = index
    const texts = space.map((range) => {
      const count = sizeOf([range])
      const cell = rest % count
      rest = Math.floor(rest / count)
      if (range.kind === 'categorical') return [range.name, range.values[cell] ?? '']
      return [range.name, textOf(range, range.min + cell)]
    })
    const parameters = Object.fromEntries(texts) as Parameters
    if (isNew(parameters)) return parameters
  }
  return undefined
}

/** A number as Python prints it: the shortest text that reads back, with a point or an exponent. */
export function pythonFloat(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const [mantissa = '', exponent = ''] = value.toExponential().split('e')
  const power = Number(exponent)
  if (power < -4 || power >= 16) {
    const digits = String(Math.abs(power)).padStart(2, '0')
    return `${mantissa}e${power < 0 ? '-' : '+'}${digits}`
  }
  const decimal = String(value)
  return decimal.includes('.') ? decimal : `${decimal}.0`
}

function textAt(range: ParameterRange, at: number): string {
  const place = Math.min(Math.max(at, 0), 1)
  if (range.kind === 'categorical') {
    const index = Math.min(Math.floor(place * range.values.length), range.values.length - 1)
    return range.values[index] ?? ''
  }
  const [start, end] = endsOf(range)
  const scaled = start + place * (end - start)
  const value = Math.min(Math.max(unscaled(range, scaled), range.min), range.max)
  return textOf(range, value)
}

function textOf({ kind, min, max }: NumericRange, value: number): string {
  if (kind === 'continuous') return pythonFloat(value)
  // Adding 0 makes a negative zero a plain one.
  return String(Math.min(Math.max(Math.round(value), min), max) + 0)
}

function placeOf(range: ParameterRange, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (range.kind === 'categorical') {
    const index = range.values.indexOf(text)
    return index === -1 ? undefined : (index + 0.5) / range.values.length
  }
  const value = Number(text)
  if (text.trim() === '' || !(value >= range.min && value <= range.max)) return undefined
  if (range.min === range.max) return 0.5
  const [start, end] = endsOf(range)
  return (scaledOf(range, value) - start) / (end - start)
}

/** The ends on the scale. An integer has half a step on both sides, so that its ends are as likely. */
function endsOf(range: NumericRange): [number, number] {
  const margin = range.kind === 'integer' ? 0.5 : 0
  return [scaledOf(range, range.min - margin), scaledOf(range, range.max + margin)]
}

function scaledOf({ scaling }: NumericRange, value: number): number {
  if (scaling === 'Linear') return value
  return scaling === 'Logarithmic' ? Math.log(value) : -Math.log1p(-value)
}

function unscaled({ scaling }: NumericRange, scaled: number): number {
  if (scaling === 'Linear') return scaled
  return scaling === 'Logarithmic' ? Math.exp(scaled) : -Math.expm1(-scaled)
}
