import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type S3Server, startS3Server } from './s3-server.ts'

const root = join(import.meta.dirname, '../../..')
const python = join(root, '.python/moto/bin/python')
const run = promisify(execFile)
const KEYS: Record<string, { secretAccessKey: string; sessionToken?: string }> = {
  AKID: { secretAccessKey: 'secret' },
  TEMP: { secretAccessKey: 'temporary', sessionToken: 'token/+=' },
}

let server: S3Server

beforeAll(async () => {
  server = await startS3Server({ findKey: (id) => KEYS[id], accountId: '123456789012' })
})

afterAll(() => server[Symbol.asyncDispose]())

describe('boto3', () => {
  let observed: Record<string, unknown>

  beforeAll(async () => {
    const script = join(import.meta.dirname, 's3_clients.py')
    const { stdout } = await run(python, [script, server.url], { env: {} })
    observed = JSON.parse(stdout) as Record<string, unknown>
  })

  test('any key is written, read and listed in the order of its bytes', () => {
    expect(observed['odd keys']).toEqual([])
    expect(observed['listed']).toBe(true)
  })

  test('multipart uploads, parallel downloads and copies by parts keep every byte', () => {
    expect(observed['multipart']).toEqual({ same: true, copy: true, etag: true, left: [] })
  })

  test('refusals have the codes that clients match', () => {
    expect(observed['again']).toEqual([409, 'BucketAlreadyOwnedByYou'])
    expect(observed['refusals']).toEqual({
      'no bucket': [404, 'NoSuchBucket'],
      'no key': [404, 'NoSuchKey'],
      'bad md5': [400, 'BadDigest'],
      'bad crc': [400, 'BadDigest'],
      'unknown key id': [403, 'InvalidAccessKeyId'],
      'wrong secret': [403, 'SignatureDoesNotMatch'],
      'wrong token': [400, 'InvalidToken'],
      'missing token': [400, 'InvalidToken'],
      'own condition': [412, 'PreconditionFailed'],
      'full bucket': [409, 'BucketNotEmpty'],
      versioning: [501, 'NotImplemented'],
      owner: [403, '403'],
    })
    expect(observed['temporary']).toBe(1)
  })

  test.each(['v2', 'v4', 'temporary'])(
    'addresses presigned with %s are good for their key and their time',
    (signature) => {
      expect(observed[`presigned ${signature}`]).toEqual([
        [200, ''],
        [200, 'put'],
        [403, 'SignatureDoesNotMatch'],
        [signature === 'v4' ? 400 : 403, signature === 'v4' ? EXPIRES_CODE : 'AccessDenied'],
      ])
    },
  )

  test.each(['v2', 'v4'])('a form signed with %s uploads what its policy allows', (signature) => {
    expect(observed[`posted ${signature}`]).toEqual([
      204,
      true,
      { a: '1' },
      [400, 'EntityTooSmall'],
      [400, 'EntityTooLarge'],
      [403, 'AccessDenied'],
      [403, 'AccessDenied'],
      [403, 'SignatureDoesNotMatch'],
      [403, 'AccessDenied'],
      [403, 'AccessDenied'],
    ])
  })

  test('what a bucket is told is kept, and it can be emptied and deleted', () => {
    expect(observed['location']).toBe('eu-west-1')
    expect(observed['encryption']).toBe('aws:kms')
    expect(observed['emptied']).toBe(0)
    expect(observed['buckets']).toEqual([])
  })
})

const EXPIRES_CODE = 'AuthorizationQueryParametersError'

describe('the AWS command line', () => {
  const env = () => ({
    AWS_ACCESS_KEY_ID: 'AKID',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_ENDPOINT_URL: server.url,
    AWS_MAX_ATTEMPTS: '1',
    HOME: server.directory,
  })
  // One process for all commands: most of the time of each is its start.
  const program = `
import json, sys
from awscli.clidriver import create_clidriver
for command in json.loads(sys.argv[1]):
    status = create_clidriver().main(["s3", *command])
    if status:
        sys.exit(status)
`
  const aws = async (...commands: string[][]) => {
    const args = ['-c', program, JSON.stringify(commands)]
    const { stdout } = await run(python, args, { env: env() })
    return stdout
  }

  test('sync copies what has changed, and nothing twice', async () => {
    const from = join(server.directory, 'from')
    const to = join(server.directory, 'to')
    await mkdir(join(from, 'sub folder'), { recursive: true })
    await writeFile(join(from, 'a.txt'), 'a')
    await writeFile(join(from, 'sub folder/ü.txt'), 'ü')

    const printed = await aws(
      ['mb', 's3://synced'],
      ['sync', from, 's3://synced/there', '--only-show-errors'],
      ['sync', from, 's3://synced/there', '--no-progress'],
      ['sync', 's3://synced/there', to, '--only-show-errors'],
      ['rb', 's3://synced', '--force'],
    )

    expect(printed.match(/^(make_bucket|upload|remove_bucket).*/gm)).toEqual([
      'make_bucket: synced',
      'remove_bucket: synced',
    ])
    expect(await readFile(join(to, 'sub folder/ü.txt'), 'utf8')).toBe('ü')
  })
})

describe('the JavaScript SDK', () => {
  const client = () =>
    new S3Client({
      endpoint: server.url,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
    })

  test('objects with checksums of every kind, keys of every kind, ranges and conditions', async () => {
    using s3 = disposable(client())
    await s3.send(new CreateBucketCommand({ Bucket: 'javascript' }))
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
      const Key = ` a+b//ü\u{1F600} ${ChecksumAlgorithm}`
      const object = { Bucket: 'javascript', Key }
      await s3.send(new PutObjectCommand({ ...object, Body: '0123456789', ChecksumAlgorithm }))

      const whole = await s3.send(new GetObjectCommand({ ...object, ChecksumMode: 'ENABLED' }))
      expect(whole[`Checksum${ChecksumAlgorithm}`]).toMatch(/=$/)
      expect(await whole.Body?.transformToString()).toBe('0123456789')
      const part = await s3.send(new GetObjectCommand({ ...object, Range: 'bytes=-3' }))
      expect(await part.Body?.transformToString()).toBe('789')
    }
    const { Contents, CommonPrefixes } = await s3.send(
      new ListObjectsV2Command({ Bucket: 'javascript', Delimiter: '//' }),
    )
    expect(Contents).toBeUndefined()
    expect(CommonPrefixes).toEqual([{ Prefix: ' a+b//' }])
    await expect(
      s3.send(new GetObjectCommand({ Bucket: 'javascript', Key: 'absent' })),
    ).rejects.toMatchObject({ name: 'NoSuchKey', $metadata: { httpStatusCode: 404 } })
  })

  test('a stream is sent in chunks with its checksum behind it', async () => {
    using s3 = disposable(client())
    await s3.send(new CreateBucketCommand({ Bucket: 'streams' }))
    const object = { Bucket: 'streams', Key: 'k' }
    const Body = Readable.from(['one ', 'two ', 'three'].map((text) => Buffer.from(text)))
    let framing: string | undefined
    s3.middlewareStack.add(
      (next) => (args) => {
        const { headers } = args.request as { headers: Record<string, string> }
        framing = headers['x-amz-content-sha256']
        return next(args)
      },
      { step: 'finalizeRequest', priority: 'low' },
    )

    await s3.send(new PutObjectCommand({ ...object, Body, ContentLength: 13 }))

    expect(framing).toBe('STREAMING-UNSIGNED-PAYLOAD-TRAILER')
    const { Body: back } = await s3.send(new GetObjectCommand(object))
    expect(await back?.transformToString()).toBe('one two three')
  })

  test('the checksum of a multipart object follows from its parts', async () => {
    using s3 = disposable(client())
    await s3.send(new CreateBucketCommand({ Bucket: 'parts' }))
    const object = { Bucket: 'parts', Key: 'k' }
    const pieces = [Buffer.alloc(5 * 1024 ** 2, 'a'), Buffer.from('the end')]
    const upload = { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' } as const
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...object, ...upload }))
    const Parts: CompletedPart[] = []
    for (const [index, Body] of pieces.entries()) {
      const PartNumber = index + 1
      const { ETag, ChecksumCRC32 } = await s3.send(
        new UploadPartCommand({
          ...object,
          UploadId,
          PartNumber,
          Body,
          ChecksumAlgorithm: 'CRC32',
        }),
      )
      Parts.push({ PartNumber, ETag, ChecksumCRC32 })
    }
    const complete = (more: object) =>
      s3.send(
        new CompleteMultipartUploadCommand({
          ...object,
          UploadId,
          MultipartUpload: { Parts },
          ...more,
        }),
      )
    await expect(complete({ ChecksumCRC32: 'AAAAAA==' })).rejects.toMatchObject({
      name: 'BadDigest',
    })
    const done = await complete({})
    await s3.send(new PutObjectCommand({ ...object, Key: 'whole', Body: Buffer.concat(pieces) }))
    const whole = await s3.send(
      new HeadObjectCommand({ ...object, Key: 'whole', ChecksumMode: 'ENABLED' }),
    )

    expect(done.ChecksumCRC32).toBe(whole.ChecksumCRC32)
    expect(done.ETag).toMatch(/-2"$/)
    const again = { ChecksumCRC32: whole.ChecksumCRC32, ChecksumType: 'FULL_OBJECT' }
    expect(await complete(again)).toMatchObject({ ETag: done.ETag })
    const attributes = await s3.send(
      new GetObjectAttributesCommand({
        ...object,
        ObjectAttributes: ['ObjectParts', 'ObjectSize'],
      }),
    )
    expect(attributes.ObjectSize).toBe(5 * 1024 ** 2 + 7)
    expect(attributes.ObjectParts?.TotalPartsCount).toBe(2)
  })

  test('a copy takes new metadata when it is told to', async () => {
    using s3 = disposable(client())
    await s3.send(new CreateBucketCommand({ Bucket: 'copies' }))
    const from = { Bucket: 'copies', Key: 'a ü', Body: 'text', Metadata: { a: '1' } }
    await s3.send(new PutObjectCommand(from))
    const CopySource = `copies/${encodeURIComponent('a ü')}`
    const copy = { Bucket: 'copies', CopySource }
    await s3.send(new CopyObjectCommand({ ...copy, Key: 'kept' }))
    await s3.send(
      new CopyObjectCommand({
        ...copy,
        Key: 'replaced',
        MetadataDirective: 'REPLACE',
        Metadata: { b: '2' },
      }),
    )
    const head = async (Key: string) =>
      (await s3.send(new HeadObjectCommand({ Bucket: 'copies', Key }))).Metadata

    expect(await head('kept')).toEqual({ a: '1' })
    expect(await head('replaced')).toEqual({ b: '2' })
    await expect(s3.send(new CopyObjectCommand({ ...copy, Key: 'a ü' }))).rejects.toMatchObject({
      name: 'InvalidRequest',
    })
  })

  test('presigned addresses of a bucket in the host name are good', async () => {
    using s3 = disposable(client())
    await s3.send(new CreateBucketCommand({ Bucket: 'hosted' }))
    using virtual = disposable(
      new S3Client({
        endpoint: server.url.replace('127.0.0.1', 'localhost'),
        region: 'us-east-1',
        credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
      }),
    )
    const object = { Bucket: 'hosted', Key: 'a//b c' }
    const put = await getSignedUrl(virtual, new PutObjectCommand(object))
    const get = await getSignedUrl(virtual, new GetObjectCommand(object))

    expect(new URL(put).hostname).toBe('hosted.localhost')
    expect(await send(put, 'PUT', 'text')).toEqual([200, ''])
    expect(await send(get, 'GET')).toEqual([200, 'text'])
    expect(await send(get, 'PUT', 'text')).toEqual([403, expect.stringContaining('<Code>')])
  })
})

/** Sends to this machine whatever host the address names, for which there may be no name server. */
function send(address: string, method: string, body?: string): Promise<[number, string]> {
  const { host, port, pathname, search } = new URL(address)
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path: pathname + search, method, headers: { host } },
      (response) => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('end', () => {
          resolve([response.statusCode ?? 0, Buffer.concat(pieces).toString()])
        })
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

function disposable(client: S3Client): S3Client & Disposable {
  return Object.assign(client, { [Symbol.dispose]: () => client.destroy() })
}
