import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findArtifactPath, parseArtifactPath } from './artifact-path.ts'
import { childLocation, parseLocation } from './location.ts'

const cwd = process.cwd()

describe('parseLocation', () => {
  test.each([
    ['/a/b', '/a/b'],
    ['/a b/ü', '/a b/ü'],
    ['/a//./b/', '/a/b'],
    ['/a%20b', '/a b'],
    ['/100%', '/100%'],
    ['/c#/x?y;z', '/c#/x?y;z'],
    ['file:///a/b', '/a/b'],
    ['file:/a/b', '/a/b'],
    ['FILE:///a', '/a'],
    ['file://localhost/a', '/a'],
    ['file:///a%20b%23', '/a b#'],
  ])('reads %j as the directory %j and keeps the text', (uri, path) => {
    expect(parseLocation(uri)).toEqual({ scheme: 'file', path, uri })
  })

  test.each([
    ['mlruns', `${cwd}/mlruns`, `${cwd}/mlruns`],
    ['./a%20b', `${cwd}/a b`, `${cwd}/a b`],
    ['100%', `${cwd}/100%`, `${cwd}/100%25`],
    ['file:x', `${cwd}/x`, `file://${cwd}/x`],
  ])('writes the relative path %j out absolute', (text, path, uri) => {
    expect(parseLocation(text)).toEqual({ scheme: 'file', path, uri })
  })

  test.each([
    ['mlflow-artifacts:/a/b', undefined, ['a', 'b']],
    ['mlflow-artifacts:/', undefined, []],
    ['mlflow-artifacts:', undefined, []],
    ['mlflow-artifacts:///a//b/', undefined, ['a', 'b']],
    ['mlflow-artifacts:/a%20b', undefined, ['a b']],
    ['mlflow-artifacts://Host:5000/a', 'host:5000', ['a']],
    ['mlflow-artifacts://[::1]:5000/a', '[::1]:5000', ['a']],
  ])('reads %j as proxied', (uri, host, segments) => {
    expect(parseLocation(uri)).toEqual({
      scheme: 'mlflow-artifacts',
      ...(host !== undefined && { host }),
      segments,
      uri,
    })
  })

  test.each([
    ['s3://bucket', 'bucket', []],
    ['s3://bucket/a/b/', 'bucket', ['a', 'b']],
    ['S3://Bucket.x_1/a%20b', 'Bucket.x_1', ['a%20b']],
    ['s3://bucket/a?param=value', 'bucket', ['a']],
  ])('reads %j as an S3 prefix', (uri, bucket, segments) => {
    expect(parseLocation(uri)).toEqual({ scheme: 's3', bucket, segments, uri })
  })

  test.each([
    ['gs://bucket/a', 'gs', 'bucket', ['a']],
    [
      'wasbs://c@account.blob.core.windows.net/p',
      'wasbs',
      'c@account.blob.core.windows.net',
      ['p'],
    ],
    ['abfss://$web@a.dfs.core.windows.net/p', 'abfss', '$web@a.dfs.core.windows.net', ['p']],
    ['https://host:8443/p?sig=x', 'https', 'host:8443', ['p']],
    ['hdfs:///a', 'hdfs', '', ['a']],
    ['dbfs:/a', 'dbfs', '', ['a']],
    ['bogus:a', 'bogus', '', ['a']],
  ])('keeps %j, for which there is no store', (uri, name, authority, segments) => {
    expect(parseLocation(uri)).toEqual({ scheme: 'other', name, authority, segments, uri })
  })

  test.each([
    [
      'a fragment',
      ['http:///#/../../etc/', 's3://b/k#/../..', 's3://b/k#', 'mlflow-artifacts:/a#b'],
    ],
    ['params', ['s3://b/k;/../../etc', 's3://b/k;p', 'http://h/a;b']],
    ['a query that climbs', ['s3://b/k?..', 'http://h/x?/../../etc', 'gs://b/k?%252e%252e/x']],
    ['a query in a file URI', ['file:///a?b']],
    ['a password', ['s3://u:p@b/k', 'https://u:p@h/x', 'wasbs://c:p@a/x', 'ftp://u:p@h/x']],
    ['a user', ['s3://u@b/k', 'https://u@h/x', 'mlflow-artifacts://u@h/x', 'ftp://u@h/x']],
    ['a backslash', ['s3://b\\c/k', 'http://h\\@evil/x', '\\\\host\\share', '/a\\b', '/a%5cb']],
    ['a drive', ['C:\\x', 'C:/x', 'c:x']],
    ['a file URI with a host', ['file://host/a', 'file://localhost.evil/a', 'file:////host/a']],
    ['a path that may be a host', ['//etc/x', '//proc/self/root']],
    ['..', ['/a/../b', '../x', '..', 'file:///a/../b', 's3://b/../k', 'mlflow-artifacts:/a/..']],
    ['encoded ..', ['/a/%2e%2e/b', 'file:///%252e%252e/b', 's3://b/%2e%2e/k', 'dbfs:/%2e%2e%2fk']],
    ['control characters', ['/a\0b', 's3://b/\0', '/a%00b', 's3://b/%0a', 'a\nb', 's3://b/k?a\nb']],
    ['an object key that stores read differently', ['s3://b//k', 's3://b/./k', 'gs://b/k//']],
    ['no bucket', ['s3:/b/k', 's3://', 's3:///k']],
    ['nothing', ['', ' ', 'file:', 'file://']],
    ['a port for a host', ['mlflow-artifacts://5000/a']],
    ['a line separator', ['s3://\u2028/k', 'bogus:/../x?\u2028', 'bogus:/x?\u2028..']],
  ])('refuses %s', (_what, uris) => {
    for (const uri of uris) {
      const parse = () => parseLocation(uri)
      expect(parse, uri).toThrow(expect.objectContaining({ code: 'INVALID_PARAMETER_VALUE' }))
    }
  })
})

describe('childLocation', () => {
  test.each([
    ['/a', 'x/y', '/a/x/y'],
    ['/', 'x', '/x'],
    ['/a?b', 'x', '/a?b/x'],
    ['/a', '100%', '/a/100%25'],
    ['file:///a/', 'x', 'file:///a/x'],
    ['file:///a', 'b?c', 'file:///a/b%3Fc'],
    ['mlflow-artifacts:/', '0', 'mlflow-artifacts:/0'],
    ['mlflow-artifacts:', '0', 'mlflow-artifacts:/0'],
    ['mlflow-artifacts:/a', 'b c', 'mlflow-artifacts:/a/b c'],
    ['mlflow-artifacts://h:1/a', 'b%20c', 'mlflow-artifacts://h:1/a/b%2520c'],
    ['s3://b', 'k', 's3://b/k'],
    ['s3://b/k?x=1', 'a%20b', 's3://b/k/a%20b?x=1'],
    ['wasbs://c@h/p', 'r/artifacts', 'wasbs://c@h/p/r/artifacts'],
  ])('%s and %s give %s', (uri, path, child) => {
    expect(childLocation(parseLocation(uri), parseArtifactPath(path)).uri).toBe(child)
  })

  test('is the same place when its text is parsed again', () => {
    const parents = fc.constantFrom(
      ...'/ /a%b /a?b rel file:///a file:x s3://b s3://b/k?q=1 gs://b/k/ hdfs:/a'.split(' '),
      ...'mlflow-artifacts:/ mlflow-artifacts: mlflow-artifacts://h:1/x?q'.split(' '),
    )
    fc.assert(
      fc.property(parents, fc.string({ unit: 'grapheme' }), (parent, text) => {
        const path = findArtifactPath(text)
        fc.pre(path !== undefined && !/[?;]/.test(text))
        const child = childLocation(parseLocation(parent), path)
        expect(parseLocation(child.uri)).toEqual(child)
      }),
    )
  })

  test.each(['s3://b/k', 'gs://b/k'])('refuses a name that no URI below %s can hold', (uri) => {
    const child = () => childLocation(parseLocation(uri), parseArtifactPath('a?b'))

    expect(child).toThrow("'a?b' cannot be written")
  })
})
