import {
  DescribeImagesCommand,
  DescribeRepositoriesCommand,
  type ECRClient,
  paginateDescribeImages,
} from '@aws-sdk/client-ecr'
import { ApiError, notFound } from '@millrace/api/errors'
import type { DeploymentContext } from './deployment-context.ts'

const REPOSITORY = 'mlflow-pyfunc'
const ECR =
  /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\/([^:@]+)(?:@(sha256:.+)|:(.+))?$/

/**
 * The image that serves when nobody names one: `MLFLOW_SAGEMAKER_DEPLOY_IMG_URL`, or the repository
 * mlflow-pyfunc with the tag of this MLflow, or with the newest tag that there is.
 *
 * @throws ApiError RESOURCE_DOES_NOT_EXIST saying how an image gets there
 */
export async function defaultServingImage({
  aws,
  environment,
  mlflowVersion,
}: DeploymentContext): Promise<string> {
  const named = environment['MLFLOW_SAGEMAKER_DEPLOY_IMG_URL']
  if (named) return named
  const uri = await repositoryUri(aws.ecr)
  if (uri === undefined) {
    throw notFound(
      `There is no image to serve with: ECR in ${aws.region} has no repository ${REPOSITORY}. ` +
        '`millrace sagemaker build-and-push-container` makes it, -C image_url=IMAGE names another.',
    )
  }
  const tags = await imageTags(aws.ecr)
  const tag = tags.includes(mlflowVersion) ? mlflowVersion : (tags[0] ?? mlflowVersion)
  return `${uri}:${tag}`
}

async function repositoryUri(ecr: ECRClient): Promise<string | undefined> {
  try {
    const { repositories = [] } = await ecr.send(
      new DescribeRepositoriesCommand({ repositoryNames: [REPOSITORY] }),
    )
    return repositories[0]?.repositoryUri
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

/** The tags of the repository, the newest image's first. */
async function imageTags(ecr: ECRClient): Promise<string[]> {
  const images = []
  for await (const page of paginateDescribeImages(
    { client: ecr },
    { repositoryName: REPOSITORY },
  )) {
    images.push(...(page.imageDetails ?? []))
  }
  const ageOf = ({ imagePushedAt }: { imagePushedAt?: Date | undefined }) =>
    imagePushedAt?.getTime() ?? 0
  return images.sort((a, b) => ageOf(b) - ageOf(a)).flatMap(({ imageTags = [] }) => imageTags)
}

/**
 * What keeps SageMaker from using an image, in a sentence; undefined if nothing does. What is not in
 * Amazon ECR is not looked for: a control plane on this machine knows images by other means.
 *
 * @throws ApiError PERMISSION_DENIED when the caller may not look
 */
export async function imageProblem(
  { aws }: DeploymentContext,
  image: string,
): Promise<string | undefined> {
  const [, registryId, region, repositoryName, imageDigest, imageTag] = ECR.exec(image) ?? []
  if (!registryId || !repositoryName || !aws.hasAmazonEcr) return undefined
  if (region !== aws.region) {
    return `The image ${image} is in ${region}, but SageMaker in ${aws.region} only takes images of ${aws.region}.`
  }
  try {
    const id = imageDigest ? { imageDigest } : { imageTag: imageTag ?? 'latest' }
    await aws.ecr.send(new DescribeImagesCommand({ registryId, repositoryName, imageIds: [id] }))
    return undefined
  } catch (error) {
    if (isNotFound(error)) return `There is no image ${image}.`
    if (error instanceof Error && /AccessDenied/.test(error.name)) {
      throw new ApiError('PERMISSION_DENIED', `whether there is the image ${image}`, {
        cause: error,
      })
    }
    throw error
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && /^(Repository|Image)NotFound/.test(error.name)
}
