import type { ContainerClient } from '@azure/storage-blob'
import { ApiError, invalid, notFound } from '@millrace/api/errors'
import { type ArtifactPath, formatArtifactPath } from './artifact-path.ts'
import type { OtherLocation } from './location.ts'

/** How Azure is reached; chosen by whoever starts the program. */
export interface AzureOptions {
  /** `AZURE_STORAGE_CONNECTION_STRING`; serves the one account that it names. */
  connectionString?: string
  /** `AZURE_STORAGE_ACCESS_KEY`, of the account that a location names. */
  accessKey?: string
}

/** `container@account.blob.core.windows.net`, in any cloud of Azure. */
const AUTHORITY =
  /^([a-z0-9][a-z0-9-]{2,62})@([a-z0-9]{3,24})\.blob\.(core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net))$/

/**
 * The container of a location. Requests go to Azure, or where the connection string says, and never
 * to another host that a location names.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a location that is no container of Azure,
 * PERMISSION_DENIED for an account that there is no key for
 */
export async function findContainer(
  { authority, uri }: OtherLocation,
  { connectionString, accessKey }: AzureOptions,
): Promise<ContainerClient> {
  const [, container = '', account = '', cloud = ''] = AUTHORITY.exec(authority) ?? []
  if (container === '') throw invalid(`'${uri}' names no container of Azure Blob Storage`)
  const { BlobServiceClient, StorageSharedKeyCredential } = await import('@azure/storage-blob')
  const retryOptions = { maxTries: 3, tryTimeoutInMs: 30_000 }
  if (connectionString !== undefined) {
    const service = BlobServiceClient.fromConnectionString(connectionString, { retryOptions })
    if (service.accountName === account) return service.getContainerClient(container)
  }
  if (accessKey === undefined) {
    throw new ApiError('PERMISSION_DENIED', `This server has no key for '${account}' in Azure.`)
  }
  const credential = new StorageSharedKeyCredential(account, accessKey)
  const url = `https://${account}.blob.${cloud}`
  return new BlobServiceClient(url, credential, { retryOptions }).getContainerClient(container)
}

/** A failed request to Azure in the words of our API. */
export function toAzureFailure(error: unknown, path: ArtifactPath): unknown {
  if (!(error instanceof Error) || error instanceof ApiError || error.name !== 'RestError') {
    return error
  }
  const status = 'statusCode' in error ? Number(error.statusCode) : undefined
  const code = 'code' in error ? String(error.code) : error.name
  if (status === 404) {
    return code === 'ContainerNotFound'
      ? notFound('There is no such container in Azure.')
      : notFound(`No such artifact: '${formatArtifactPath(path)}'`)
  }
  if (status === 403 && !code.startsWith('Authentication')) {
    return new ApiError('PERMISSION_DENIED', `Azure denies this server the request: ${code}`, {
      cause: error,
    })
  }
  if (status !== undefined && status >= 400 && status < 500 && status !== 403 && status !== 429) {
    return invalid(`Azure refuses the request: ${code}`)
  }
  return new ApiError('TEMPORARILY_UNAVAILABLE', `Azure cannot be used at the moment: ${code}`, {
    cause: error,
    retryAfterSeconds: 5,
  })
}
