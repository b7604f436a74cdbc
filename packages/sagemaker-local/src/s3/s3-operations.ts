import {
  createBucketAnswer,
  deleteBucketAnswer,
  deleteBucketPolicy,
  deleteBucketTagging,
  getAcl,
  getBucketLocation,
  getBucketPolicy,
  getBucketPolicyStatus,
  getBucketTagging,
  getBucketVersioning,
  listBucketsAnswer,
  putAcl,
  putBucketPolicy,
  putBucketTagging,
  putBucketVersioning,
  settingOperations,
} from './bucket-operations.ts'
import {
  headBucket,
  listObjectsV1,
  listObjectsV2,
  listObjectVersions,
} from './listing-operations.ts'
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listMultipartUploads,
  listPartsAnswer,
  uploadPart,
  uploadPartCopy,
} from './multipart-operations.ts'
import {
  copyObjectAnswer,
  deleteObjectAnswer,
  deleteObjectsAnswer,
  deleteObjectTagging,
  getObject,
  getObjectAttributes,
  getObjectTagging,
  headObjectAnswer,
  putObjectAnswer,
  putObjectTagging,
} from './object-operations.ts'
import { postObject } from './post-object.ts'
import { notImplemented, S3Error } from './s3-error.ts'
import { isFormUpload, type RunOperation, type S3Request } from './s3-request.ts'

/** How an operation is told from the others: by the word in its query, or by a header. */
interface Operation {
  method: string
  query?: string
  header?: string
  run: RunOperation
}

// The first that fits is taken, so those with a query or a header stand before the plain ones.
const BUCKET_OPERATIONS: Operation[] = [
  ...settingOperations(),
  { method: 'GET', query: 'location', run: getBucketLocation },
  { method: 'GET', query: 'policy', run: getBucketPolicy },
  { method: 'PUT', query: 'policy', run: putBucketPolicy },
  { method: 'DELETE', query: 'policy', run: deleteBucketPolicy },
  { method: 'GET', query: 'policyStatus', run: getBucketPolicyStatus },
  { method: 'GET', query: 'tagging', run: getBucketTagging },
  { method: 'PUT', query: 'tagging', run: putBucketTagging },
  { method: 'DELETE', query: 'tagging', run: deleteBucketTagging },
  { method: 'GET', query: 'versioning', run: getBucketVersioning },
  { method: 'PUT', query: 'versioning', run: putBucketVersioning },
  { method: 'GET', query: 'acl', run: getAcl },
  { method: 'PUT', query: 'acl', run: putAcl },
  { method: 'GET', query: 'versions', run: listObjectVersions },
  { method: 'GET', query: 'uploads', run: listMultipartUploads },
  { method: 'POST', query: 'delete', run: deleteObjectsAnswer },
  { method: 'GET', query: 'object-lock', run: refuse('ObjectLockConfigurationNotFoundError') },
  { method: 'GET', query: 'replication', run: refuse('ReplicationConfigurationNotFoundError') },
  { method: 'GET', query: 'list-type', run: listObjectsV2 },
  { method: 'GET', run: listObjectsV1 },
  { method: 'HEAD', run: headBucket },
  { method: 'PUT', run: createBucketAnswer },
  { method: 'DELETE', run: deleteBucketAnswer },
]

const OBJECT_OPERATIONS: Operation[] = [
  { method: 'GET', query: 'uploadId', run: listPartsAnswer },
  { method: 'PUT', query: 'uploadId', header: 'x-amz-copy-source', run: uploadPartCopy },
  { method: 'PUT', query: 'uploadId', run: uploadPart },
  { method: 'POST', query: 'uploadId', run: completeMultipartUpload },
  { method: 'DELETE', query: 'uploadId', run: abortMultipartUpload },
  { method: 'POST', query: 'uploads', run: createMultipartUpload },
  { method: 'GET', query: 'tagging', run: getObjectTagging },
  { method: 'PUT', query: 'tagging', run: putObjectTagging },
  { method: 'DELETE', query: 'tagging', run: deleteObjectTagging },
  { method: 'GET', query: 'attributes', run: getObjectAttributes },
  { method: 'GET', query: 'acl', run: getAcl },
  { method: 'PUT', query: 'acl', run: putAcl },
  { method: 'PUT', header: 'x-amz-copy-source', run: copyObjectAnswer },
  { method: 'GET', run: getObject },
  { method: 'HEAD', run: headObjectAnswer },
  { method: 'PUT', run: putObjectAnswer },
  { method: 'DELETE', run: deleteObjectAnswer },
]

/** Words in a query that name operations of S3 which are not served here. */
const UNSERVED = [
  'analytics',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'metadataConfiguration',
  'metadataTable',
  'metrics',
  'object-lock',
  'renameObject',
  'replication',
  'restore',
  'retention',
  'select',
  'session',
  'torrent',
]

/** The operation that a request asks for; `NotImplemented` by name, or `MethodNotAllowed`. */
export function findOperation(request: S3Request): RunOperation {
  if (isFormUpload(request)) return postObject
  const { method, bucket, key, query, headers } = request
  if (bucket === undefined) {
    if (method === 'GET') return listBucketsAnswer
    throw new S3Error('MethodNotAllowed', { details: { Method: method, ResourceType: 'SERVICE' } })
  }
  const operations = key === undefined ? BUCKET_OPERATIONS : OBJECT_OPERATIONS
  const unserved = UNSERVED.find((word) => query.has(word))
  const found = operations.find(
    (one) =>
      one.method === method &&
      (one.query === undefined ? unserved === undefined : query.has(one.query)) &&
      (one.header === undefined || headers[one.header] !== undefined),
  )
  if (found) return found.run
  if (unserved !== undefined) throw notImplemented(`${method} ?${unserved}`)
  throw new S3Error('MethodNotAllowed', {
    details: { Method: method, ResourceType: key === undefined ? 'BUCKET' : 'OBJECT' },
  })
}

function refuse(
  code: 'ObjectLockConfigurationNotFoundError' | 'ReplicationConfigurationNotFoundError',
) {
  return () => {
    throw new S3Error(code)
  }
}
