import { describeClient } from './describe-client.ts'

describeClient('mlflow-2.22.0', ['tutorial_002', 'tutorial_003', 'journey'])
