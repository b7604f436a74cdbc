import { describeClient } from './describe-client.ts'

describeClient('mlflow-3.6.0', ['tutorial_002', 'tutorial_003', 'journey'])
