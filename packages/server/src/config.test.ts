import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from './config.ts'
import { configurationPage } from './configuration-page.ts'

function read(flags: Record<string, string | boolean> = {}, env: Record<string, string> = {}) {
  return readConfig(flags, env, undefined)
}

function problemsOf(flags: Record<string, string | boolean>): string {
  try {
    read(flags)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

test('the page about settings is the one that the table gives', () => {
  const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8')

  expect(page, 'run `npm run docs`').toBe(configurationPage())
})

describe('settings', () => {
  test('without any are those of one user on this machine', () => {
    const config = read()

    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 5000,
      database: { path: resolve('millrace.db'), synchronous: 'full' },
      settings: {
        defaultArtifactRoot: 'mlflow-artifacts:/',
        servesArtifacts: true,
        truncatesLongValues: true,
        allowsLocalLocations: true,
        localArtifactRoots: [resolve('mlartifacts')],
      },
      exposesPrometheus: false,
    })
  })

  test('come from the environment under MLflow’s names, ours first, and a flag wins', () => {
    const env = { MLFLOW_PORT: '5001', MILLRACE_HOST: '::1', MLFLOW_HOST: '127.0.0.2' }

    expect(read({}, env)).toMatchObject({ port: 5001, host: '::1' })
    expect(read({ port: '5002' }, env).port).toBe(5002)
    expect(read({}, { MLFLOW_SERVE_ARTIFACTS: 'false' }).settings.servesArtifacts).toBe(false)
  })

  test('keep artifacts in a directory when they are not served', () => {
    const { settings } = read({ 'serve-artifacts': false })

    expect(settings.defaultArtifactRoot).toBe(resolve('mlruns'))
    expect(settings.localArtifactRoots).toContain(resolve('mlruns'))
  })

  test.each([
    ['sqlite:///a.db', resolve('a.db')],
    ['sqlite:////data/a b.db', '/data/a b.db'],
    ['sqlite:////data/a%20b.db', '/data/a b.db'],
    ['sqlite+pysqlite:///a.db', resolve('a.db')],
  ])('%s is the file %s', (uri, path) => {
    expect(read({ 'backend-store-uri': uri }).database).toMatchObject({ kind: 'sqlite', path })
  })

  test.each([
    [{ port: '70000' }, "--port '70000': a port is a number from 0 to 65535"],
    [{ port: 'http' }, "--port 'http'"],
    [{ 'backend-store-uri': 'oracle://u:secret@h/d' }, "databases of the kind 'oracle'"],
    [{ 'backend-store-uri': './mlruns' }, 'not a directory of files'],
    [{ 'backend-store-uri': 'sqlite:///:memory:' }, 'runs must survive a restart'],
    [{ 'artifacts-destination': 'dbfs:/folder' }, 'in a local directory, in S3'],
    [{ 'static-prefix': 'mlflow' }, 'a prefix begins with /'],
    [{ 'x-frame-options': 'MAYBE' }, 'SAMEORIGIN, DENY, NONE'],
    [{ 'sqlite-synchronous': 'off' }, 'full, normal'],
    [{ 'model-source-pattern': '(' }, "--model-source-pattern '('"],
    [{ host: '0.0.0.0' }, 'there is no login yet'],
    [{ host: '192.168.1.7' }, '--allow-unauthenticated'],
  ])('%j is refused', (flags, message) => {
    expect(problemsOf(flags)).toContain(message)
  })

  test('never show the password of a database that cannot be used', () => {
    expect(problemsOf({ 'backend-store-uri': 'postgresql://u:secret@h/d' })).not.toContain('secret')
  })

  test('are all judged at once', () => {
    const problems = problemsOf({ port: 'x', host: '0.0.0.0', 'static-prefix': 'y' })

    expect(problems.split('\n')).toHaveLength(3)
  })

  test('beyond this machine open only when told so, and then local directories stay closed', () => {
    const config = read({ host: '0.0.0.0', 'allow-unauthenticated': true })

    expect(config.host).toBe('0.0.0.0')
    expect(config.settings.allowsLocalLocations).toBe(false)
  })
})

describe('the control plane of SageMaker', () => {
  test('is started when it is asked for, beside the database, at its own port unless told', () => {
    const uri = { 'backend-store-uri': 'sqlite:////data/runs.db' }

    expect(read(uri).sageMaker).toBeUndefined()
    expect(read({ ...uri, 'sagemaker-local': true }).sageMaker).toEqual({
      port: 5055,
      directory: '/data/sagemaker',
      imagesFile: undefined,
    })
    expect(read({ ...uri, 'sagemaker-local': '0' }).sageMaker?.port).toBe(0)
    expect(read(uri, { MILLRACE_SAGEMAKER_LOCAL: 'false' }).sageMaker).toBeUndefined()
  })

  test.each([
    [{ host: '0.0.0.0', 'allow-unauthenticated': true }, /listen on 127\.0\.0\.1/],
    [{ 'disable-security-middleware': true }, /without --disable-security-middleware/],
    [{ workers: '2', 'backend-store-uri': 'postgresql://a:b@c/d' }, /leave out --workers 2/],
  ])('is refused with %j', (flags, problem) => {
    expect(problemsOf(flags)).toBe('')
    expect(problemsOf({ ...flags, 'sagemaker-local': true })).toMatch(problem)
  })
})
