import { describeClient } from './describe-client.ts'

describeClient('mlflow-1.30.0', ['tutorial_002', 'tutorial_003', 'journey'])
