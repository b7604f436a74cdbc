import { z } from 'zod'
import { AwsError } from '../http/aws-error.ts'
import {
  deleteImages,
  findImage,
  type Image,
  type ImageId,
  listImages,
} from '../registry/images.ts'
import { RegistryError, type RegistryErrorCode } from '../registry/registry-error.ts'
import { createRegistryToken } from '../registry/registry-token.ts'
import {
  createRepository,
  deleteRepository,
  getRepository,
  listRepositories,
  type Repository,
} from '../registry/repositories.ts'
import { type OperationContext, operation } from './operation.ts'
import { seconds } from './resource-names.ts'

const PAGE_SIZE = 100
const RepositoryName = z.string().min(2).max(256)
const ImageIds = z
  .array(z.object({ imageDigest: z.string().nullish(), imageTag: z.string().nullish() }))
  .max(100)
const Paging = { maxResults: z.int32().min(1).max(1000).nullish(), nextToken: z.string().nullish() }

/** Where tokens for the registry come from; without keys nobody asks for one. */
export const OPEN_TOKEN_SECRET = 'open'

export const containerRegistryOperations = [
  operation({
    service: 'ECR',
    name: 'GetAuthorizationToken',
    input: z.object({}),
    run({ settings }) {
      const { authorizationToken, expiresMs } = createRegistryToken(
        settings.accessKeys[0]?.secretAccessKey ?? OPEN_TOKEN_SECRET,
      )
      return {
        authorizationData: [
          { authorizationToken, expiresAt: seconds(expiresMs), proxyEndpoint: settings.url },
        ],
      }
    },
  }),
  operation({
    service: 'ECR',
    name: 'CreateRepository',
    input: z.object({
      repositoryName: RepositoryName,
      imageTagMutability: z
        .enum(['MUTABLE', 'IMMUTABLE', 'IMMUTABLE_WITH_EXCLUSION', 'MUTABLE_WITH_EXCLUSION'])
        .nullish(),
    }),
    run(context, { repositoryName, imageTagMutability }) {
      return inEcrWords(() => {
        const isImmutable = imageTagMutability?.startsWith('IMMUTABLE') ?? false
        const repository = createRepository(context.images, repositoryName, { isImmutable })
        return { repository: describe(context, repository) }
      })
    },
  }),
  operation({
    service: 'ECR',
    name: 'DescribeRepositories',
    input: z.object({ repositoryNames: z.array(RepositoryName).max(100).nullish(), ...Paging }),
    run(context, { repositoryNames, maxResults, nextToken }) {
      return inEcrWords(() => {
        const { images } = context
        if (repositoryNames?.length) {
          const found = repositoryNames.map((name) => getRepository(images, name))
          return { repositories: found.map((repository) => describe(context, repository)) }
        }
        const limit = maxResults ?? PAGE_SIZE
        const found = listRepositories(images, { after: nextToken ?? '', limit: limit + 1 })
        const shown = found.slice(0, limit)
        return {
          repositories: shown.map((repository) => describe(context, repository)),
          ...(found.length > limit ? { nextToken: shown.at(-1)?.name } : {}),
        }
      })
    },
  }),
  operation({
    service: 'ECR',
    name: 'DeleteRepository',
    input: z.object({ repositoryName: RepositoryName, force: z.boolean().nullish() }),
    run(context, { repositoryName, force }) {
      return inEcrWords(() => {
        const withImages = force === true
        const repository = deleteRepository(context.images, repositoryName, { withImages })
        return { repository: describe(context, repository) }
      })
    },
  }),
  operation({
    service: 'ECR',
    name: 'DescribeImages',
    input: z.object({ repositoryName: RepositoryName, imageIds: ImageIds.nullish(), ...Paging }),
    run(context, { repositoryName, imageIds, maxResults, nextToken }) {
      return inEcrWords(() => {
        getRepository(context.images, repositoryName)
        const found = imageIds?.length
          ? imageIds.map((id) => getImage(context, repositoryName, toImageId(id)))
          : listImages(context.images, repositoryName)
        const page = pageOf(found, { maxResults, nextToken })
        return {
          imageDetails: page.shown.map((image) => ({
            registryId: context.settings.accountId,
            repositoryName,
            imageDigest: image.digest,
            ...(image.tags.length > 0 ? { imageTags: image.tags } : {}),
            imageSizeInBytes: image.sizeBytes,
            imagePushedAt: seconds(image.pushedMs),
            imageManifestMediaType: image.mediaType,
            artifactMediaType: image.artifactMediaType,
          })),
          nextToken: page.nextToken,
        }
      })
    },
  }),
  operation({
    service: 'ECR',
    name: 'ListImages',
    input: z.object({ repositoryName: RepositoryName, ...Paging }),
    run(context, { repositoryName, maxResults, nextToken }) {
      return inEcrWords(() => {
        const ids = listImages(context.images, repositoryName).flatMap(({ digest, tags }) =>
          tags.length === 0
            ? [{ imageDigest: digest }]
            : tags.map((imageTag) => ({ imageDigest: digest, imageTag })),
        )
        const page = pageOf(ids, { maxResults, nextToken })
        return { imageIds: page.shown, nextToken: page.nextToken }
      })
    },
  }),
  operation({
    service: 'ECR',
    name: 'BatchDeleteImage',
    input: z.object({ repositoryName: RepositoryName, imageIds: ImageIds.min(1) }),
    run(context, { repositoryName, imageIds }) {
      return inEcrWords(() => {
        const outcome = deleteImages(context.images, repositoryName, imageIds.map(toImageId))
        return {
          imageIds: outcome.deleted.map(fromImageId),
          failures: outcome.failures.map(({ id, code, reason }) => ({
            imageId: fromImageId(id),
            failureCode: code,
            failureReason: reason,
          })),
        }
      })
    },
  }),
]

function describe({ settings, region }: OperationContext, repository: Repository) {
  const { accountId, url } = settings
  return {
    repositoryArn: `arn:aws:ecr:${region}:${accountId}:repository/${repository.name}`,
    registryId: accountId,
    repositoryName: repository.name,
    // What docker pushes to: the registry is on the port of everything else.
    repositoryUri: `${new URL(url).host}/${repository.name}`,
    createdAt: seconds(repository.createdMs),
    imageTagMutability: repository.isImmutable ? 'IMMUTABLE' : 'MUTABLE',
    imageScanningConfiguration: { scanOnPush: false },
    encryptionConfiguration: { encryptionType: 'AES256' },
  }
}

function getImage({ images }: OperationContext, repository: string, id: ImageId): Image {
  const image = findImage(images, repository, id)
  if (image) return image
  throw new AwsError(
    'ImageNotFoundException',
    `The image with imageId ${JSON.stringify(fromImageId(id))} does not exist within the repository with name '${repository}'`,
  )
}

function toImageId(id: z.output<typeof ImageIds>[number]): ImageId {
  return {
    ...(id.imageDigest == null ? {} : { digest: id.imageDigest }),
    ...(id.imageTag == null ? {} : { tag: id.imageTag }),
  }
}

function fromImageId({ digest, tag }: ImageId) {
  return { imageDigest: digest, imageTag: tag }
}

interface PageInput {
  maxResults: number | null | undefined
  nextToken: string | null | undefined
}

function pageOf<Item>(items: Item[], { maxResults, nextToken }: PageInput) {
  const start = nextToken == null ? 0 : Number(nextToken)
  if (!Number.isSafeInteger(start) || start < 0) {
    throw new AwsError('InvalidParameterException', 'The nextToken is not one of this list.')
  }
  const end = start + (maxResults ?? PAGE_SIZE)
  return {
    shown: items.slice(start, end),
    nextToken: end < items.length ? String(end) : undefined,
  }
}

const CODES: Partial<Record<RegistryErrorCode, string>> = {
  NAME_UNKNOWN: 'RepositoryNotFoundException',
  NAME_EXISTS: 'RepositoryAlreadyExistsException',
  NAME_NOT_EMPTY: 'RepositoryNotEmptyException',
  NAME_INVALID: 'InvalidParameterException',
}

function inEcrWords<Answer>(run: () => Answer): Answer {
  try {
    return run()
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause
    const code = CODES[cause.code] ?? 'InvalidParameterException'
    throw new AwsError(code, cause.message, { cause })
  }
}
