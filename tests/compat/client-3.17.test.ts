import { describeClient } from './describe-client.ts'

describeClient('mlflow-3.17.2', ['tutorial_002', 'tutorial_003', 'journey'])
