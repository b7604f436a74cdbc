import {
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  type DescribeEndpointConfigOutput,
  type DescribeEndpointOutput,
  type DescribeModelOutput,
  type EndpointSummary,
  paginateListEndpoints,
} from '@aws-sdk/client-sagemaker'
import { notFound } from '@millrace/api/errors'
import { type AwsClients, isAbsent } from '../access/aws-clients.ts'
import { findSageMakerModel } from './sagemaker-model.ts'

/** An endpoint with what it is made of. */
export interface Deployment {
  endpoint: DescribeEndpointOutput
  config: DescribeEndpointConfigOutput
  /** The models of its variants that are still there, by name. */
  models: Map<string, DescribeModelOutput>
}

/** An endpoint as SageMaker describes it; undefined when there is none. */
export async function findEndpoint(
  { sagemaker }: AwsClients,
  EndpointName: string,
): Promise<DescribeEndpointOutput | undefined> {
  try {
    return await sagemaker.send(new DescribeEndpointCommand({ EndpointName }))
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/**
 * A deployment by its name.
 *
 * @throws ApiError RESOURCE_DOES_NOT_EXIST
 */
export async function getDeployment(aws: AwsClients, name: string): Promise<Deployment> {
  const endpoint = await findEndpoint(aws, name)
  if (!endpoint) throw notFound(`There is no deployment '${name}' in ${aws.region}.`)
  const config = await aws.sagemaker.send(
    new DescribeEndpointConfigCommand({ EndpointConfigName: endpoint.EndpointConfigName }),
  )
  const models = new Map<string, DescribeModelOutput>()
  for (const name of modelNames(config)) {
    const model = await findSageMakerModel(aws, name)
    if (model) models.set(name, model)
  }
  return { endpoint, config, models }
}

/** The models that a configuration names. */
export function modelNames({ ProductionVariants = [] }: DescribeEndpointConfigOutput): string[] {
  return [...new Set(ProductionVariants.flatMap(({ ModelName }) => ModelName ?? []))]
}

/** All endpoints of the region. */
export async function listDeployments({ sagemaker }: AwsClients): Promise<EndpointSummary[]> {
  const found: EndpointSummary[] = []
  for await (const page of paginateListEndpoints({ client: sagemaker }, {})) {
    found.push(...(page.Endpoints ?? []))
  }
  return found
}
