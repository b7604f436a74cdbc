import { z } from 'zod'
import { invalidRequest } from '../http/aws-error.ts'

const OPERATORS = [
  'Equals',
  'NotEquals',
  'GreaterThan',
  'GreaterThanOrEqualTo',
  'LessThan',
  'LessThanOrEqualTo',
  'Contains',
  'Exists',
  'NotExists',
  'In',
] as const

const Filter = z.object({
  Name: z.string().min(1).max(255),
  Operator: z.enum(OPERATORS).nullish(),
  Value: z.string().min(1).max(1024).nullish(),
})
export type Filter = z.infer<typeof Filter>

export interface SearchExpression {
  Filters?: Filter[] | null | undefined
  NestedFilters?: { NestedPropertyName: string; Filters: Filter[] }[] | null | undefined
  SubExpressions?: SearchExpression[] | null | undefined
  Operator?: 'And' | 'Or' | null | undefined
}

const Level = z.object({
  Filters: z.array(Filter).min(1).max(20).nullish(),
  NestedFilters: z
    .array(
      z.object({
        NestedPropertyName: z.string().min(1).max(255),
        Filters: z.array(Filter).min(1).max(20),
      }),
    )
    .min(1)
    .max(20)
    .nullish(),
  Operator: z.enum(['And', 'Or']).nullish(),
})
const subExpressions = (inner: z.ZodType<SearchExpression>) =>
  z.array(inner).min(1).max(20).nullish()
const Innermost = Level
const Inner = Level.extend({ SubExpressions: subExpressions(Innermost) })

/** A condition of SageMaker's Search; three levels of it, which is more than its console writes. */
export const SearchExpression = Level.extend({ SubExpressions: subExpressions(Inner) })

/**
 * Whether a resource fits a condition of SageMaker's Search. Its properties are those of Describe,
 * and `Tags.<key>`, `HyperParameters.<name>` and `Metrics.<name>`.
 *
 * @throws AwsError ValidationException for a filter without a value
 */
export function matchesSearch(
  record: Record<string, unknown>,
  expression: SearchExpression,
): boolean {
  const { Filters, NestedFilters, SubExpressions } = expression
  const conditions = [
    ...(Filters ?? []).map((filter) => () => matchesFilter(record, filter)),
    ...(NestedFilters ?? []).map(
      ({ NestedPropertyName, Filters }) =>
        () =>
          itemsOf(propertyOf(record, NestedPropertyName)).some((item) =>
            Filters.every(({ Name, ...filter }) =>
              matchesFilter(item, { ...filter, Name: below(NestedPropertyName, Name) }),
            ),
          ),
    ),
    ...(SubExpressions ?? []).map((inner) => () => matchesSearch(record, inner)),
  ]
  return expression.Operator === 'Or'
    ? conditions.some((condition) => condition())
    : conditions.every((condition) => condition())
}

/** A nested filter names its property in full: `InputDataConfig.DataSource...`. */
function below(property: string, name: string): string {
  return name.startsWith(`${property}.`) ? name.slice(property.length + 1) : name
}

function itemsOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

function matchesFilter(record: Record<string, unknown>, filter: Filter): boolean {
  const { Name, Value } = filter
  const operator = filter.Operator ?? (Value == null ? 'Exists' : 'Equals')
  const found = valuesOf(propertyOf(record, Name))
  if (operator === 'Exists') return found.length > 0
  if (operator === 'NotExists') return found.length === 0
  if (Value == null) {
    throw invalidRequest(`The filter of ${Name} has the operator ${operator} and no Value.`)
  }
  if (operator === 'NotEquals') return !found.some((value) => order(value, Value) === 0)
  return found.some((value) => fits(value, operator, Value))
}

function fits(value: unknown, operator: (typeof OPERATORS)[number], wanted: string): boolean {
  switch (operator) {
    case 'Contains':
      return String(value).toLowerCase().includes(wanted.toLowerCase())
    case 'In':
      return wanted.split(',').some((one) => order(value, one.trim()) === 0)
    case 'GreaterThan':
      return order(value, wanted) > 0
    case 'GreaterThanOrEqualTo':
      return order(value, wanted) >= 0
    case 'LessThan':
      return order(value, wanted) < 0
    case 'LessThanOrEqualTo':
      return order(value, wanted) <= 0
    default:
      return order(value, wanted) === 0
  }
}

/** Below, at or above what is wanted; NaN, which is neither, when they cannot be compared. */
function order(value: unknown, wanted: string): number {
  if (typeof value !== 'number') {
    const isNumber =
      typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value))
    if (isNumber && !Number.isNaN(Number(wanted))) return Number(value) - Number(wanted)
    return String(value) === wanted ? 0 : Number.NaN
  }
  const number = Number(wanted)
  if (!Number.isNaN(number)) return value - number
  // The times of a resource are seconds, and those of a filter are written out.
  return value - Date.parse(wanted) / 1000
}

/** A property by its path, through lists too; undefined when there is none. */
export function propertyOf(record: Record<string, unknown>, name: string): unknown {
  const [head = '', ...rest] = name.split('.')
  const key = rest.join('.').replace(/^`(.*)`$/, '$1')
  if (head === 'Tags' && key !== '') {
    return itemsOf(record['Tags']).find((tag) => tag['Key'] === key)?.['Value']
  }
  if (head === 'Metrics') {
    return itemsOf(record['FinalMetricDataList']).find((metric) => metric['MetricName'] === key)?.[
      'Value'
    ]
  }
  const value = record[head]
  if (key === '') return value
  if (head === 'HyperParameters' && isRecord(value)) return value[key]
  if (Array.isArray(value)) {
    return value.filter(isRecord).flatMap((item) => valuesOf(propertyOf(item, key)))
  }
  return isRecord(value) ? propertyOf(value, key) : undefined
}

function valuesOf(value: unknown): unknown[] {
  if (value === undefined || value === null) return []
  return Array.isArray(value) ? value : [value]
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
