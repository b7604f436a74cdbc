import { describeSdk } from './sagemaker-checks.ts'

describeSdk('mlflow-3.17.2', 'smd_mlflow')
