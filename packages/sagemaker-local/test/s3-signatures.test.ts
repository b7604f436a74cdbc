import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { startChunkSignatures } from '../src/auth/chunk-signatures.ts'
import { type VerifySigV4, verifySigV4 } from '../src/auth/sigv4.ts'
import { decodeAwsChunked } from '../src/s3/aws-chunked.ts'

// Requests and signatures are those of the S3 API reference ("Authenticating Requests") and of the
// general guide to SigV4, for keys that are published there.
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const HOST = 'examplebucket.s3.amazonaws.com'
const AT = '20130524T000000Z'
const options: VerifySigV4 = {
  findKey: (id) =>
    id === 'AKIAIOSFODNN7EXAMPLE'
      ? { secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }
      : undefined,
  nowMs: Date.parse('2013-05-24T00:10:00Z'),
}

function signed(method: string, url: string, headers: Record<string, string>, signature: string) {
  const all: Record<string, string> = { host: HOST, 'x-amz-date': AT, ...headers }
  const scope = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request'
  const names = Object.keys(all).sort().join(';')
  all['authorization'] =
    `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=${names},Signature=${signature}`
  return { method, url, headers: all }
}

const GET = signed(
  'GET',
  '/test.txt',
  { range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY },
  'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
)

describe('the signature of a head', () => {
  test.each([
    ['a range', GET],
    [
      'an odd key and a body',
      signed(
        'PUT',
        '/test%24file.text',
        {
          date: 'Fri, 24 May 2013 00:00:00 GMT',
          'x-amz-content-sha256':
            '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
          'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        },
        '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
      ),
    ],
    [
      'a word in the query',
      signed(
        'GET',
        '/?lifecycle',
        { 'x-amz-content-sha256': EMPTY },
        'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
      ),
    ],
    [
      'a query in another order',
      signed(
        'GET',
        '/?prefix=J&max-keys=2',
        { 'x-amz-content-sha256': EMPTY },
        '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
      ),
    ],
  ])('matches that of %s in the reference', (_name, request) => {
    expect(verifySigV4(request, options).scope).toEqual({
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      date: '20130524',
      region: 'us-east-1',
      service: 's3',
    })
  })

  test('matches that of another service, whose body is hashed by the receiver', () => {
    const request = {
      method: 'GET',
      url: '/?Action=ListUsers&Version=2010-05-08',
      headers: {
        'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
        host: 'iam.amazonaws.com',
        'x-amz-date': '20150830T123600Z',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
      },
    }
    const iam = {
      findKey: () => ({ secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }),
      nowMs: Date.parse('2015-08-30T12:40:00Z'),
      bodySha256: EMPTY,
    }

    expect(verifySigV4(request, iam).scope.service).toBe('iam')
    expect(() => verifySigV4(request, { ...iam, bodySha256: EMPTY.replace('e', 'f') })).toThrow(
      expect.objectContaining({ jsonCode: 'InvalidSignatureException' }),
    )
  })

  test('matches what botocore signs for other services, whose paths are escaped twice', async () => {
    const url = '/endpoints/a%20b%2Fc/invocations?x=a%20b&y=%C3%BC&x=%2B'
    const program = `
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
request = AWSRequest("POST", "http://127.0.0.1:1" + sys.argv[1], data=b"body")
request.context["payload_signing_enabled"] = True
SigV4Auth(Credentials("A/B", "secret", "token"), "sagemaker", "eu-west-1").add_auth(request)
print(json.dumps(dict(request.headers)))
`
    const python = join(import.meta.dirname, '../../../.python/moto/bin/python')
    const { stdout } = await promisify(execFile)(python, ['-c', program, url])
    const headers: Record<string, string> = { host: '127.0.0.1:1' }
    for (const [name, value] of Object.entries(JSON.parse(stdout) as Record<string, string>)) {
      headers[name.toLowerCase()] = value
    }
    const verify = (body: string) =>
      verifySigV4(
        { method: 'POST', url, headers },
        {
          findKey: () => ({ secretAccessKey: 'secret', sessionToken: 'token' }),
          bodySha256: createHash('sha256').update(body).digest('hex'),
        },
      )

    expect(verify('body').scope.accessKeyId).toBe('A/B')
    expect(() => verify('bodY')).toThrow(expect.objectContaining({ name: 'SigV4Error' }))
  })

  const presigned = (expires: string) => ({
    method: 'GET',
    url: `/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=${AT}&X-Amz-Expires=${expires}&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404`,
    headers: { host: HOST },
  })

  test('a presigned address is good until its time is over', () => {
    const at = (time: string) => () =>
      verifySigV4(presigned('86400'), { ...options, nowMs: Date.parse(time) })

    expect(at('2013-05-24T23:59:59Z')().payload).toBe('UNSIGNED-PAYLOAD')
    expect(at('2013-05-25T00:00:01Z')).toThrow('Request has expired')
    expect(at('2013-05-23T23:00:00Z')).toThrow('Request is not valid yet')
  })

  test.each([
    ['a week and a second', '604801'],
    ['no number', 'x'],
    ['less than nothing', '-1'],
  ])('a presigned address of %s is refused', (_name, expires) => {
    expect(() => verifySigV4(presigned(expires), options)).toThrow(
      expect.objectContaining({ code: 'AuthorizationQueryParametersError' }),
    )
  })

  test.each([
    ['16 minutes late', '2013-05-24T00:16:00Z'],
    ['16 minutes early', '2013-05-23T23:44:00Z'],
  ])('a request that is %s is refused', (_name, now) => {
    expect(() => verifySigV4(GET, { ...options, nowMs: Date.parse(now) })).toThrow(
      expect.objectContaining({ code: 'RequestTimeTooSkewed' }),
    )
  })

  test.each([
    ['nothing signed', { authorization: undefined }, 'AccessDenied'],
    ['another scheme', { authorization: 'Bearer x' }, 'AuthorizationHeaderMalformed'],
    [
      'no signature',
      { authorization: 'AWS4-HMAC-SHA256 Credential=a/b' },
      'AuthorizationHeaderMalformed',
    ],
    ['a header added', { 'x-amz-acl': 'public-read' }, 'AccessDenied'],
    ['a header changed', { range: 'bytes=0-10' }, 'SignatureDoesNotMatch'],
    ['another host', { host: 'other' }, 'SignatureDoesNotMatch'],
    ['a token nobody gave', { 'x-amz-security-token': 't' }, 'AccessDenied'],
  ])('a request with %s is refused', (_name, headers, code) => {
    const request = { ...GET, headers: { ...GET.headers, ...headers } }

    expect(() => verifySigV4(request, options)).toThrow(expect.objectContaining({ code }))
  })
})

describe('aws-chunked bodies', () => {
  const head = (sha256: string, more: Record<string, string>, signature: string) =>
    verifySigV4(
      signed(
        'PUT',
        '/examplebucket/chunkObject.txt',
        {
          'content-encoding': 'aws-chunked',
          host: 's3.amazonaws.com',
          'x-amz-content-sha256': sha256,
          'x-amz-decoded-content-length': '66560',
          'x-amz-storage-class': 'REDUCED_REDUNDANCY',
          ...more,
        },
        signature,
      ),
      options,
    )
  const chunk = (size: number, signature: string) =>
    `${size.toString(16)};chunk-signature=${signature}\r\n${'a'.repeat(size)}\r\n`
  const plainHead = () =>
    head(
      'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      { 'content-length': '66824' },
      '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
    )
  const plain = [
    chunk(65536, 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648'),
    chunk(1024, '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497'),
    chunk(0, 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9'),
  ].join('')

  async function* pieces(text: string, size: number) {
    for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size))
  }
  const decode = async (body: string, more: object = {}, size = 10_000) => {
    const decoded = decodeAwsChunked(pieces(body, size), {
      decodedLength: 66560,
      hasTrailer: false,
      ...more,
    })
    let length = 0
    for await (const piece of decoded) length += piece.length
    return length
  }

  test.each([1, 7, 10_000, 100_000])(
    'signed chunks of the reference match, cut into pieces of %d bytes',
    async (size) => {
      const signatures = startChunkSignatures(plainHead())

      expect(await decode(plain, { signatures }, size)).toBe(66560)
    },
  )

  test('a changed byte, a changed order or a missing chunk does not match', async () => {
    for (const body of [
      plain.replace('aaaa', 'aaab'),
      plain.replace(/^10000;/, '0ffff;'),
      plain.slice(0, -70),
    ]) {
      const signatures = startChunkSignatures(plainHead())
      await expect(decode(body, { signatures })).rejects.toMatchObject({
        code: expect.stringMatching(/SignatureDoesNotMatch|IncompleteBody|InvalidRequest/),
      })
    }
  })

  test('signed trailers of the reference match, and no others', async () => {
    const trailed = (checksum: string) =>
      [
        chunk(65536, 'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2'),
        chunk(1024, '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7'),
        chunk(0, '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992').slice(0, -2),
        `x-amz-checksum-crc32c:${checksum}\r\n`,
        'x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n',
      ].join('')
    const send = async (checksum: string) => {
      const signatures = startChunkSignatures(
        head(
          'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
          { 'x-amz-trailer': 'x-amz-checksum-crc32c' },
          '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
        ),
      )
      let trailers = new Map<string, string>()
      const onTrailers = (received: Map<string, string>) => {
        trailers = received
      }
      await decode(trailed(checksum), { signatures, hasTrailer: true, onTrailers })
      return [...trailers]
    }

    expect(await send('sOO8/Q==')).toEqual([['x-amz-checksum-crc32c', 'sOO8/Q==']])
    await expect(send('sOO8/g==')).rejects.toMatchObject({ code: 'SignatureDoesNotMatch' })
  })

  test.each([
    ['fewer bytes than said', '3\r\nabc\r\n0\r\n\r\n', 'IncompleteBody'],
    ['more bytes than said', '5\r\nabcde\r\n0\r\n\r\n', 'IncompleteBody'],
    ['an end in the middle', '4\r\nab', 'IncompleteBody'],
    ['a size that is none', 'zz\r\nabcd\r\n', 'InvalidRequest'],
    ['a size without end', `${'0'.repeat(9000)}`, 'IncompleteBody'],
    ['a chunk longer than its size', '4\r\nabcdef\r\n0\r\n\r\n', 'IncompleteBody'],
  ])('%s is refused', async (_name, body, code) => {
    await expect(decode(body, { decodedLength: 4 })).rejects.toMatchObject({ code })
  })
})
