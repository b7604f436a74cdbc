import { describeSdk } from './sagemaker-checks.ts'

describeSdk('sagemaker-2.257', 'smd_sdk', { isTracked: true })
