import { describeSdk } from './sagemaker-checks.ts'

describeSdk('mlflow-3.17.2', 'dep_lineage', { isTracked: true })
