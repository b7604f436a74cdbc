import type { AzureOptions } from '@millrace/artifacts/azure-account'
import { parseUploadArgs, type S3Options } from '@millrace/artifacts/s3-options'

/** Parses the text of a setting, which is empty when it was not given. */
type Read = <Value>(name: string, parse: (text: string) => Value) => Value

/** How S3 is reached, from the settings of the server that begin with `s3-`. */
export function readS3Options(read: Read): S3Options {
  const endpoint = read('s3-endpoint-url', readEndpoint)
  const region = read('s3-region', readRegion)
  const expectedBucketOwner = read('s3-expected-bucket-owner', readAccount)
  return {
    ...(endpoint !== '' && { endpoint }),
    ...(region !== '' && { region }),
    ...(expectedBucketOwner !== '' && { expectedBucketOwner }),
    ignoresTls: read('s3-ignore-tls', (text) => /^(true|1|yes|on)$/i.test(text)),
    addressing: read('s3-addressing-style', readAddressing),
    uploadArgs: read('s3-upload-extra-args', parseUploadArgs),
  }
}

/** How Azure is reached; both settings are secrets and come from the environment alone. */
export function readAzureOptions(text: (name: string) => string): AzureOptions {
  const connectionString = text('azure-connection-string')
  const accessKey = text('azure-access-key')
  return {
    ...(connectionString !== '' && { connectionString }),
    ...(accessKey !== '' && { accessKey }),
  }
}

function readEndpoint(text: string): string {
  const url = text === '' ? undefined : URL.parse(text)
  if (text === '') return ''
  const isPlain = url?.username === '' && url.search === '' && url.hash === ''
  if (isPlain && /^https?:$/.test(url.protocol)) return text.replace(/\/+$/, '')
  throw new Error('this must be a URL such as https://minio.example:9000')
}

function readRegion(text: string): string {
  if (/^[\w-]*$/.test(text)) return text
  throw new Error('this must be the name of a region such as eu-west-1')
}

function readAccount(text: string): string {
  if (/^(\d{12})?$/.test(text)) return text
  throw new Error('an AWS account has twelve digits')
}

function readAddressing(text: string): S3Options['addressing'] {
  if (text === 'auto' || text === 'path' || text === 'virtual') return text
  throw new Error('this must be one of auto, path, virtual')
}
