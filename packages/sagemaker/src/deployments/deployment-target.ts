import { invalid } from '@millrace/api/errors'

/** Where deployments are. */
export interface DeploymentTarget {
  region: string | undefined
  assumeRoleArn: string | undefined
}

/**
 * Parses `sagemaker`, `sagemaker:/<region>` or `sagemaker:/<region>/<role ARN>` (MLflow 3.17
 * `SageMakerDeploymentClient._get_values_from_target_uri`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the target
 */
export function parseTarget(target: string): DeploymentTarget {
  const [, rest = ''] = /^sagemaker(?::(.*))?$/s.exec(target) ?? []
  if (!/^sagemaker(:|$)/.test(target)) {
    throw invalid(
      `'${target}' is no target that deployments can go to: it is sagemaker, sagemaker:/REGION or ` +
        'sagemaker:/REGION/ROLE_ARN.',
    )
  }
  const values = rest.replace(/^\/+|\/+$/g, '')
  const [region = '', ...role] = values.split('/')
  if (region.startsWith('arn')) {
    throw invalid(
      `The target '${target}' has a role ARN without a region: write sagemaker:/REGION/ROLE_ARN.`,
    )
  }
  if (region !== '' && !/^[a-z]{2}(-[a-z]+)+-\d+$/.test(region)) {
    throw invalid(
      `'${region}' in the target '${target}' is not a region of AWS, such as eu-west-1.`,
    )
  }
  const assumeRoleArn = role.join('/').replace(/^\/+/, '')
  return { region: region || undefined, assumeRoleArn: assumeRoleArn || undefined }
}
