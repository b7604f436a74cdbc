import {
  BatchDeleteImageCommand,
  CreateRepositoryCommand,
  DescribeRepositoriesCommand,
  ECRClient,
  GetAuthorizationTokenCommand,
  RepositoryAlreadyExistsException,
  RepositoryNotFoundException,
} from '@aws-sdk/client-ecr'
import { ApiError } from '@millrace/api/errors'
import { toAwsAdvice } from '../access/aws-advice.ts'
import type { RegistryLogin } from './registry-client.ts'

/** An account's registry at AWS. */
export interface EcrRegistry {
  account: string
  region: string
}

/** What `<account>.dkr.ecr.<region>.amazonaws.com` says; undefined for other hosts. */
export function parseEcrRegistry(host: string): EcrRegistry | undefined {
  const match = /^(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(host)
  return match ? { account: match[1] ?? '', region: match[2] ?? '' } : undefined
}

/** Where and how to reach an account's registry for the next twelve hours. */
export interface EcrAccess {
  url: string
  login: RegistryLogin
}

/**
 * Makes the repository when it is missing (tags may be set again, images are scanned when they
 * arrive and kept encrypted) and fetches a token for the registry.
 *
 * @throws ApiError saying which right is missing
 */
export async function openEcrRepository(
  { account, region }: EcrRegistry,
  repository: string,
): Promise<EcrAccess> {
  using ecr = disposable(new ECRClient({ region }))
  await makeRepository(ecr, account, repository)
  const { authorizationData = [] } = await ecr
    .send(new GetAuthorizationTokenCommand({}))
    .catch((error: unknown) => {
      throw toAwsAdvice(error, 'ecr:GetAuthorizationToken')
    })
  const [{ authorizationToken = '', proxyEndpoint } = {}] = authorizationData
  if (!proxyEndpoint) {
    throw new ApiError('INVALID_STATE', `Amazon ECR in ${region} named no registry with its token`)
  }
  const [username = '', password = ''] = splitOnce(
    Buffer.from(authorizationToken, 'base64').toString('utf8'),
  )
  return { url: proxyEndpoint, login: { username, password } }
}

/** Takes a tag away from an image; the image goes when it has no other. */
export async function deleteEcrTag(
  { account, region }: EcrRegistry,
  repositoryName: string,
  imageTag: string,
): Promise<void> {
  using ecr = disposable(new ECRClient({ region }))
  await ecr
    .send(
      new BatchDeleteImageCommand({
        registryId: account,
        repositoryName,
        imageIds: [{ imageTag }],
      }),
    )
    .catch((error: unknown) => {
      throw toAwsAdvice(error, 'ecr:BatchDeleteImage')
    })
}

async function makeRepository(ecr: ECRClient, registryId: string, repositoryName: string) {
  try {
    const wanted = { registryId, repositoryNames: [repositoryName] }
    await ecr.send(new DescribeRepositoriesCommand(wanted))
  } catch (error) {
    if (!(error instanceof RepositoryNotFoundException)) {
      throw toAwsAdvice(error, 'ecr:DescribeRepositories')
    }
    await createRepository(ecr, registryId, repositoryName)
  }
}

async function createRepository(ecr: ECRClient, registryId: string, repositoryName: string) {
  try {
    await ecr.send(
      new CreateRepositoryCommand({
        registryId,
        repositoryName,
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfiguration: { encryptionType: 'AES256' },
      }),
    )
  } catch (error) {
    if (error instanceof RepositoryAlreadyExistsException) return
    throw toAwsAdvice(error, 'ecr:CreateRepository')
  }
}

function splitOnce(text: string): string[] {
  const colon = text.indexOf(':')
  return [text.slice(0, colon), text.slice(colon + 1)]
}

function disposable(client: ECRClient): ECRClient & Disposable {
  return Object.assign(client, { [Symbol.dispose]: () => client.destroy() })
}
