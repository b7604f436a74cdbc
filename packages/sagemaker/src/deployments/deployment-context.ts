import type { TrackingServer } from '@millrace/models/tracking-server'
import { toAwsAdvice } from '../access/aws-advice.ts'
import { type AwsClients, openAws } from '../access/aws-clients.ts'

/** What every step of a deployment works with. */
export interface DeploymentContext {
  aws: AwsClients
  /** Where models are registered, if anywhere. */
  tracking: TrackingServer | undefined
  /** The MLflow whose image is used when nobody names one. */
  mlflowVersion: string
  environment: NodeJS.ProcessEnv
  /** Tells the person what is going on, a line at a time. */
  report(line: string): void
}

/** How a context comes about. */
export interface ContextOptions extends Omit<DeploymentContext, 'aws'> {
  region: string | undefined
  assumeRoleArn: string | undefined
}

/** Does something with clients of AWS, whose refusals are put into words that say what to do. */
export async function withAws<Result>(
  { region, assumeRoleArn, ...rest }: ContextOptions,
  work: (context: DeploymentContext) => Promise<Result>,
): Promise<Result> {
  try {
    using aws = await openAws({ region, assumeRoleArn, environment: rest.environment })
    return await work({ ...rest, aws })
  } catch (error) {
    throw toAwsAdvice(error, 'a permission')
  }
}
