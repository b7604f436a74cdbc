import { describeSdk } from './sagemaker-checks.ts'

describeSdk('sagemaker-2.117', 'sm_estimators')
