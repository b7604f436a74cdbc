import { describeClient } from './describe-client.ts'

describeClient('mlflow-3.17.2', [
  'surface_experiments',
  'surface_runs',
  'surface_search',
  'surface_artifacts',
  'surface_models',
  'surface_registry',
])
