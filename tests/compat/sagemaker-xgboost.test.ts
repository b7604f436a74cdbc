import { describeSdk } from './sagemaker-checks.ts'

describeSdk('sagemaker-2.257', 'sm_xgboost')
