import {
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DescribeEndpointConfigCommand,
  ListTagsCommand,
  paginateListEndpointConfigs,
} from '@aws-sdk/client-sagemaker'
import { invalid, notFound } from '@millrace/api/errors'
import { awaitEndpointGone } from './await-endpoint.ts'
import type { DeploymentConfig } from './deployment-config.ts'
import type { DeploymentContext } from './deployment-context.ts'
import { APP_TAG, namePrefix } from './deployment-names.ts'
import { findEndpoint, modelNames } from './find-deployment.ts'
import { removeEndpointTag } from './model-version.ts'
import { deleteSageMakerModel } from './sagemaker-model.ts'

const TIMEOUT_SECONDS = 300

/**
 * Removes an endpoint and, unless `archive` keeps them, its configuration, models and uploads. What an
 * interrupted removal has left is removed when it is asked for again.
 *
 * @throws ApiError RESOURCE_DOES_NOT_EXIST when there is nothing of that name
 */
export async function deleteDeployment(
  context: DeploymentContext,
  name: string,
  config: DeploymentConfig,
): Promise<void> {
  const { aws, tracking, report } = context
  const isArchive = config.archive === true
  if (config.synchronous === false && !isArchive) {
    throw invalid(
      'Resources must be archived when a deployment is deleted in non-synchronous mode. Either set ' +
        'synchronous=True or archive=True.',
    )
  }
  const endpoint = await findEndpoint(aws, name)
  // Configurations kept by `archive` are nobody's business while the endpoint is there.
  const configs = endpoint ? [endpoint.EndpointConfigName ?? ''] : await ownConfigs(context, name)
  if (!endpoint && configs.length === 0) {
    throw notFound(`There is no deployment '${name}' in ${aws.region}.`)
  }
  if (endpoint) {
    await aws.sagemaker.send(new DeleteEndpointCommand({ EndpointName: name }))
    if (config.synchronous !== false) {
      await awaitEndpointGone(context, name, config.timeout_seconds ?? TIMEOUT_SECONDS)
    }
    report(`Removed the endpoint ${endpoint.EndpointArn}.`)
    if (tracking && endpoint.EndpointArn) await removeEndpointTag(tracking, endpoint.EndpointArn)
  }
  if (!isArchive) for (const configName of configs) await removeConfig(context, configName)
}

/** The models first: the configuration is what tells of them, should this be interrupted. */
async function removeConfig(context: DeploymentContext, EndpointConfigName: string): Promise<void> {
  const { aws, report } = context
  const config = await aws.sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName }))
  for (const model of modelNames(config)) await deleteSageMakerModel(context, model)
  await aws.sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName }))
  report(`Removed the endpoint configuration ${EndpointConfigName}.`)
}

/** The configurations that deployments of this name have made and not removed. */
async function ownConfigs({ aws }: DeploymentContext, name: string): Promise<string[]> {
  const { sagemaker } = aws
  const prefix = namePrefix(name, 'config')
  const found: string[] = []
  const pages = paginateListEndpointConfigs({ client: sagemaker }, { NameContains: prefix })
  for await (const { EndpointConfigs = [] } of pages) {
    for (const { EndpointConfigName = '', EndpointConfigArn } of EndpointConfigs) {
      if (!EndpointConfigName.startsWith(prefix)) continue
      const { Tags = [] } = await sagemaker.send(
        new ListTagsCommand({ ResourceArn: EndpointConfigArn }),
      )
      if (Tags.some(({ Key, Value }) => Key === APP_TAG && Value === name)) {
        found.push(EndpointConfigName)
      }
    }
  }
  return found
}
