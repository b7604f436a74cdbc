import { z } from 'zod'
import { AwsError } from '../http/aws-error.ts'
import { insertPoints } from '../state/metric-store.ts'
import { dimensionsText, listMetrics, type MetricId, readBuckets } from './metric-series.ts'
import { operation } from './operation.ts'

const DATAPOINTS_MAX = 1_440
const PAGE_SIZE = 500

/** A number; the query protocol writes it as a text. */
const Numeric = z
  .union([z.number(), z.string().regex(/^-?\d+(\.\d+)?([eE][-+]?\d+)?$/)])
  .transform(Number)
/** A time as seconds or, in the query protocol, in the form of ISO 8601; in ms. */
const Time = z
  .union([z.number(), z.string().refine((text) => !Number.isNaN(Date.parse(text)))])
  .transform((value) => (typeof value === 'number' ? Math.round(value * 1000) : Date.parse(value)))
const Name = z.string().min(1).max(255)
const Dimension = z.looseObject({ Name, Value: z.string().min(1).max(1024) })
const Dimensions = z
  .array(Dimension)
  .max(30)
  .nullish()
  .transform((found) => found ?? [])
const Period = Numeric.refine(
  (seconds) => [1, 5, 10, 20, 30].includes(seconds) || (seconds >= 60 && seconds % 60 === 0),
  'The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.',
)
const Statistic = z.enum(['SampleCount', 'Average', 'Sum', 'Minimum', 'Maximum'])

const GetMetricStatisticsInput = z.looseObject({
  Namespace: Name,
  MetricName: Name,
  Dimensions,
  StartTime: Time,
  EndTime: Time,
  Period,
  Statistics: z.array(Statistic).min(1).max(5),
  Unit: z.string().nullish(),
})

const GetMetricDataInput = z.looseObject({
  StartTime: Time,
  EndTime: Time,
  ScanBy: z.enum(['TimestampDescending', 'TimestampAscending']).nullish(),
  MetricDataQueries: z
    .array(
      z.looseObject({
        Id: z
          .string()
          .max(255)
          .regex(/^[a-z][a-zA-Z0-9_]*$/),
        Label: z.string().nullish(),
        Expression: z.string().nullish(),
        MetricStat: z
          .looseObject({
            Metric: z.looseObject({ Namespace: Name, MetricName: Name, Dimensions }),
            Period,
            Stat: Statistic,
          })
          .nullish(),
        ReturnData: z.union([z.boolean(), z.string()]).nullish(),
      }),
    )
    .min(1)
    .max(500),
})

const Datum = z.looseObject({
  MetricName: Name,
  Dimensions,
  Timestamp: Time.nullish(),
  Value: Numeric.nullish(),
  Values: z.array(Numeric).max(150).nullish(),
  Counts: z.array(Numeric).max(150).nullish(),
  StatisticValues: z
    .looseObject({ SampleCount: Numeric, Sum: Numeric, Minimum: Numeric, Maximum: Numeric })
    .nullish(),
  Unit: z.string().max(30).nullish(),
})

export const cloudWatchOperations = [
  operation({
    service: 'CloudWatch',
    name: 'GetMetricStatistics',
    input: GetMetricStatisticsInput,
    async run(context, { StartTime, EndTime, Period, Statistics, ...metric }) {
      checkTimes(StartTime, EndTime)
      const wanted = Math.ceil((EndTime - StartTime) / (Period * 1000))
      if (wanted > DATAPOINTS_MAX) {
        throw new AwsError(
          'InvalidParameterCombination',
          `You have requested up to ${wanted} datapoints, which exceeds the limit of 1,440. You may reduce ` +
            'the datapoints requested by increasing Period, or decreasing the time range.',
        )
      }
      const times = { fromMs: StartTime, toMs: EndTime, periodMs: Period * 1000 }
      const buckets = await readBuckets(context, metric, times)
      return {
        Label: metric.MetricName,
        Datapoints: buckets.map(({ timeMs, ...values }) => ({
          Timestamp: new Date(timeMs),
          ...Object.fromEntries(Statistics.map((statistic) => [statistic, values[statistic]])),
          Unit: metric.Unit ?? 'None',
        })),
      }
    },
  }),
  operation({
    service: 'CloudWatch',
    name: 'GetMetricData',
    input: GetMetricDataInput,
    async run(context, { StartTime, EndTime, ScanBy, MetricDataQueries }) {
      checkTimes(StartTime, EndTime)
      const shown = MetricDataQueries.filter(({ ReturnData }) => String(ReturnData) !== 'false')
      const results = shown.map(async ({ Id, Label, MetricStat }) => {
        if (!MetricStat) {
          throw new AwsError(
            'ValidationError',
            `The query ${Id} has no MetricStat; expressions are not served here.`,
          )
        }
        const periodMs = MetricStat.Period * 1000
        const times = { fromMs: StartTime, toMs: EndTime, periodMs }
        const buckets = await readBuckets(context, MetricStat.Metric, times)
        if (ScanBy !== 'TimestampAscending') buckets.reverse()
        return {
          Id,
          Label: Label ?? MetricStat.Metric.MetricName,
          Timestamps: buckets.map(({ timeMs }) => new Date(timeMs)),
          Values: buckets.map((bucket) => bucket[MetricStat.Stat]),
          StatusCode: 'Complete',
        }
      })
      return { MetricDataResults: await Promise.all(results), Messages: [] }
    },
  }),
  operation({
    service: 'CloudWatch',
    name: 'ListMetrics',
    input: z.looseObject({
      Namespace: Name.nullish(),
      MetricName: Name.nullish(),
      Dimensions: z.array(z.looseObject({ Name, Value: z.string().nullish() })).nullish(),
      NextToken: z
        .string()
        .regex(/^\d{1,9}$/)
        .nullish(),
    }),
    run(context, { Namespace, MetricName, Dimensions, NextToken }) {
      const found = listMetrics(context).filter(
        (metric) =>
          (Namespace == null || metric.Namespace === Namespace) &&
          (MetricName == null || metric.MetricName === MetricName) &&
          (Dimensions ?? []).every((wanted) => hasDimension(metric, wanted)),
      )
      const start = Number(NextToken ?? 0)
      const end = start + PAGE_SIZE
      return {
        Metrics: found.slice(start, end),
        ...(end < found.length ? { NextToken: String(end) } : {}),
      }
    },
  }),
  operation({
    service: 'CloudWatch',
    name: 'PutMetricData',
    input: z.looseObject({ Namespace: Name, MetricData: z.array(Datum).max(1000).nullish() }),
    run({ state }, { Namespace, MetricData }) {
      insertPoints(
        state,
        (MetricData ?? []).flatMap((datum) =>
          pointsOf(datum).map((point) => ({
            namespace: Namespace,
            name: datum.MetricName,
            dimensions: dimensionsText(datum.Dimensions),
            timeMs: datum.Timestamp ?? Date.now(),
            unit: datum.Unit ?? 'None',
            ...point,
          })),
        ),
      )
      return undefined
    },
  }),
]

function checkTimes(startMs: number, endMs: number): void {
  if (startMs < endMs) return
  throw new AwsError(
    'InvalidParameterValue',
    'The parameter StartTime must be less than the parameter EndTime.',
  )
}

function hasDimension(
  { Dimensions }: MetricId,
  wanted: { Name: string; Value?: string | null | undefined },
): boolean {
  return Dimensions.some(
    ({ Name, Value }) => Name === wanted.Name && (wanted.Value == null || Value === wanted.Value),
  )
}

function pointsOf({ MetricName, Value, Values, Counts, StatisticValues }: z.infer<typeof Datum>) {
  if (StatisticValues) {
    const { SampleCount, Sum, Minimum, Maximum } = StatisticValues
    return [{ count: SampleCount, sum: Sum, min: Minimum, max: Maximum }]
  }
  const values = Values ?? (Value == null ? [] : [Value])
  if (values.length === 0) {
    throw new AwsError(
      'MissingParameter',
      `The metric ${MetricName} needs one of Value, Values and StatisticValues.`,
    )
  }
  return values.map((value, index) => {
    const count = Counts?.[index] ?? 1
    return { count, sum: value * count, min: value, max: value }
  })
}
