import { describe, expect, test } from 'vitest'
import { parseExperimentLocation } from './experiment-location.ts'
import { parseLocation } from './location.ts'

const policy = { allowedSchemes: [], ownLocations: [], allowLocal: true }
const code = 'INVALID_PARAMETER_VALUE'

describe('parseExperimentLocation', () => {
  test.each([
    '/data/x',
    'file:///data/x',
    'mlflow-artifacts:/x',
    's3://b/x',
    'gs://b/x',
    'oss://b/x',
  ])('takes %s', (uri) => {
    expect(parseExperimentLocation(uri, policy)).toEqual(parseLocation(uri))
  })

  const climbs = ['http:///#/../../etc/', 's3://b/k#/../..', '/a#b', '/a;/../../etc', 's3://b/k;p']
  test.each(climbs)("refuses %s with MLflow's text", (uri) => {
    expect(() => parseExperimentLocation(uri, policy)).toThrow(
      expect.objectContaining({
        code,
        message: "'artifact_location' URL can't include fragments or params.",
      }),
    )
  })

  test.each(['s3://b/k?..', 's3://b/k?%2e%2e/x', 'x?/../../etc', '/a?..'])(
    "refuses the query of %s with MLflow's text",
    (uri) => {
      expect(() => parseExperimentLocation(uri, policy)).toThrow(
        expect.objectContaining({ code, message: 'Invalid query string' }),
      )
    },
  )

  test.each(['runs:', 'runs:/r/a'])("refuses %s with MLflow's text", (uri) => {
    expect(() => parseExperimentLocation(uri, policy)).toThrow(
      `Artifact location cannot be a runs:/ URI. Given: '${uri}'`,
    )
  })

  test('takes 2048 characters and refuses more', () => {
    const longest = `s3://b/${'x/'.repeat(1020)}x`

    expect(longest).toHaveLength(2048)
    expect(parseExperimentLocation(longest, policy).uri).toBe(longest)
    expect(() => parseExperimentLocation(`${longest}y`, policy)).toThrow(
      'The length of the artifact path cannot be greater than 2048 characters.',
    )
  })

  test('refuses local paths unless they are allowed', () => {
    const parse = (uri: string) => () =>
      parseExperimentLocation(uri, { ...policy, allowLocal: false })

    for (const uri of ['/etc', 'mlruns', 'file:///etc', 'FILE:/etc', './x']) {
      expect(parse(uri)).toThrow(expect.objectContaining({ code }))
    }
  })

  test('refuses a local path with a name no artifact can have', () => {
    for (const uri of [`/${'x'.repeat(256)}`, '/a%23b', '/file:x']) {
      const parse = () => parseExperimentLocation(uri, policy)
      expect(parse).toThrow(expect.objectContaining({ code }))
    }
  })
})

describe('the host policy', () => {
  const foreign = {
    http: ['http://h/x', 'HTTP:///x'],
    https: ['https://h/x'],
    ftp: ['ftp://h/x'],
    sftp: ['sftp://h/x'],
    hdfs: ['hdfs://h/x', 'hdfs:/x'],
    viewfs: ['viewfs:/x'],
    'mlflow-artifacts': ['mlflow-artifacts://h:1/x'],
    r2: ['r2://b@account.r2.cloudflarestorage.com/x'],
    b2: ['b2://b/x'],
    abfss: ['abfss://f@a.dfs.core.windows.net/x'],
    dbfs: ['dbfs:/x'],
    uc: ['uc:/x'],
  }

  test.each(Object.entries(foreign))('refuses %s unless the scheme is allowed', (scheme, uris) => {
    for (const uri of uris) {
      expect(() => parseExperimentLocation(uri, policy)).toThrow(
        `'artifact_location' cannot use the '${scheme}' scheme: `,
      )
      const allowed = { ...policy, allowedSchemes: [scheme.toUpperCase()] }
      expect(parseExperimentLocation(uri, allowed)).toEqual(parseLocation(uri))
    }
  })

  test.each([
    ['http://own:8080', 'http://own:8080/x', true],
    ['http://own:8080', 'mlflow-artifacts://OWN:8080/x', true],
    ['http://own', 'http://own:80/x', true],
    ['http://own', 'mlflow-artifacts://own/x', true],
    ['http://own', 'https://own/x', false],
    ['http://own:8080', 'http://own:8081/x', false],
    ['http://own:8080', 'http://other:8080/x', false],
    ['http://own:21', 'ftp://own/x', false],
    ['hdfs://own/root', 'viewfs://own/x', true],
    ['hdfs://own:8020/root', 'hdfs://own/x', false],
    ['abfss://one@own.net/x', 'abfss://two@own.net/y', true],
    ['s3://b/root', 'http://b/x', false],
    ['mlflow-artifacts:/', 'mlflow-artifacts://h/x', false],
  ])('with the root %s, %s is allowed: %s', (own, uri, isAllowed) => {
    const parse = () =>
      parseExperimentLocation(uri, { ...policy, ownLocations: [parseLocation(own)] })

    if (isAllowed) expect(parse().uri).toBe(uri)
    else expect(parse).toThrow(expect.objectContaining({ code }))
  })
})
