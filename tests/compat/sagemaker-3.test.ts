import { describeSdk } from './sagemaker-checks.ts'

describeSdk('sagemaker-3', 'sm_trainer')
