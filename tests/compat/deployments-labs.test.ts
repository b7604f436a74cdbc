import { describeSdk } from './sagemaker-checks.ts'

describeSdk('sagemaker-2.257', 'dep_lab_train', { isTracked: true })
describeSdk('sagemaker-2.257', 'dep_lab_tune')
describeSdk('sagemaker-2.117', 'dep_lab_train', { isTracked: true, isProxied: true })
describeSdk('sagemaker-2.117', 'dep_lab_tune', { isProxied: true })
describeSdk('mlflow-3.17.2', 'dep_lab_deploy', { isTracked: true })
