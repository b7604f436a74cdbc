import { describeSdk } from './sagemaker-checks.ts'

describeSdk('sagemaker-1.72', 'sm_generic')
