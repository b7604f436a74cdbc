import type { MetricDefinition } from '../instance/instance-spec.ts'
import { frameworkImage } from './framework-images.ts'

// Those that SageMaker documents for its XGBoost.
const XGBOOST = [
  'accuracy',
  'auc',
  'aucpr',
  'error',
  'f1',
  'logloss',
  'mae',
  'map',
  'merror',
  'mlogloss',
  'mse',
  'ndcg',
  'rmse',
  'rmsle',
]
const NUMBER = '[-+]?[0-9]*\\.?[0-9]+(?:[eE][-+]?[0-9]+)?'

interface Definition {
  AlgorithmSpecification: {
    TrainingImage?: string | undefined
    MetricDefinitions?: MetricDefinition[] | undefined
  }
}

/**
 * What is looked for in the log of a job: what its client has defined, and with the algorithm of an
 * image, which prints its metrics in a form of its own, `train:rmse`, `validation:rmse` and so on.
 */
export function metricDefinitionsOf({
  AlgorithmSpecification: { TrainingImage, MetricDefinitions },
}: Definition): MetricDefinition[] {
  if (MetricDefinitions !== undefined && MetricDefinitions.length > 0) return MetricDefinitions
  if (frameworkImage(TrainingImage ?? '')?.framework !== 'xgboost') return []
  return ['train', 'validation'].flatMap((channel) =>
    XGBOOST.map((metric) => ({
      Name: `${channel}:${metric}`,
      Regex: `\\[[0-9]+\\].*#011${channel}-${metric}:(${NUMBER})`,
    })),
  )
}
