import { verifyPostPolicy } from '../auth/post-policy.ts'
import { propertiesOf } from './object-headers.ts'
import type { ObjectStore } from './object-store.ts'
import { putObject, UPLOAD_MAX_BYTES } from './objects.ts'
import { readPostForm } from './post-form.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import { bucketOf, headerOf, type S3Answer, type S3Request } from './s3-request.ts'
import { tagsOfXml } from './s3-tags.ts'
import { parseXml, s3Xml } from './s3-xml.ts'

/** POST Object: an upload by a form, allowed by a signed policy (`generate_presigned_post`). */
export async function postObject(store: ObjectStore, request: S3Request): Promise<S3Answer> {
  const bucket = bucketOf(request)
  const contentType = headerOf(request, 'content-type') ?? ''
  const { fields, fileName, file } = await readPostForm(request.body.bytes, contentType)
  const template = fields.get('key')
  if (!template) throw invalidArgument("Bucket POST must contain a field named 'key'.", 'key', '')
  fields.set('bucket', bucket)
  const limits = verifyPostPolicy(fields, { ...(request.findKey && { findKey: request.findKey }) })
  const key = template.replace('${filename}', () => fileName)
  const tagging = fields.get('tagging')
  const object = await putObject(store, {
    bucket,
    key,
    body: within(file, limits),
    properties: propertiesOf({ ...request, headers: Object.fromEntries(fields) }),
    tags: tagging === undefined ? {} : tagsOfXml(parseXml(tagging, 'Tagging'), 10),
  })
  return postAnswer(request, fields, { bucket, key, etag: `"${object.etag}"` })
}

async function* within(
  file: AsyncIterable<Uint8Array>,
  { minBytes, maxBytes }: { minBytes: number; maxBytes: number },
): AsyncGenerator<Uint8Array> {
  const most = Math.min(maxBytes, UPLOAD_MAX_BYTES)
  let length = 0
  for await (const piece of file) {
    length += piece.length
    if (length > most) {
      throw new S3Error('EntityTooLarge', { details: { MaxSizeAllowed: String(most) } })
    }
    yield piece
  }
  if (length < minBytes) {
    throw new S3Error('EntityTooSmall', { details: { MinSizeAllowed: String(minBytes) } })
  }
}

function postAnswer(
  request: S3Request,
  fields: Map<string, string>,
  { bucket, key, etag }: { bucket: string; key: string; etag: string },
): S3Answer {
  const path = `${request.isVirtualHost ? '' : `/${bucket}`}/${key.split('/').map(encodeURIComponent).join('/')}`
  const location = `http://${headerOf(request, 'host') ?? 'localhost'}${path}`
  const redirect = fields.get('success_action_redirect') ?? fields.get('redirect')
  if (redirect !== undefined && /^https?:\/\//.test(redirect) && URL.canParse(redirect)) {
    const target = new URL(redirect)
    for (const [name, value] of Object.entries({ bucket, key, etag })) {
      target.searchParams.set(name, value)
    }
    return { status: 303, headers: { etag, location: target.href } }
  }
  const status = fields.get('success_action_status')
  if (status === '201') {
    const body = s3Xml('PostResponse', { Location: location, Bucket: bucket, Key: key, ETag: etag })
    return { status: 201, headers: { etag, location }, body }
  }
  return { status: status === '200' ? 200 : 204, headers: { etag, location } }
}
