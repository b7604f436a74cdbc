import { expect, test } from 'vitest'
import { compilePattern } from '../instance/metric-patterns.ts'
import { metricDefinitionsOf } from './built-in-metrics.ts'

const XGBOOST = '683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1'

test('what XGBoost prints is found by its name on AWS without a definition', () => {
  const definitions = metricDefinitionsOf({ AlgorithmSpecification: { TrainingImage: XGBOOST } })
  // As SageMaker's XGBoost and ours print a round.
  const line = '[12]#011train-rmse:0.50000#011train-mae:1.2e-3#011validation-rmse:-7'

  const found = definitions.flatMap(({ Name, Regex }) => {
    const value = compilePattern(Regex).exec(line)?.[1]
    return value === undefined ? [] : [[Name, value]]
  })

  expect(found).toEqual([
    ['train:mae', '1.2e-3'],
    ['train:rmse', '0.50000'],
    ['validation:rmse', '-7'],
  ])
})

test('definitions of the client take the place of those, and other images have none', () => {
  const MetricDefinitions = [{ Name: 'loss', Regex: 'loss=(.*)' }]
  const of = (TrainingImage: string, own = {}) =>
    metricDefinitionsOf({ AlgorithmSpecification: { TrainingImage, ...own } })

  expect(of(XGBOOST, { MetricDefinitions })).toEqual(MetricDefinitions)
  expect(of('123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1')).toEqual(
    [],
  )
})
