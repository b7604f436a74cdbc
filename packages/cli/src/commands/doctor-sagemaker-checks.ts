import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { canonicalRequest } from '@millrace/sagemaker-local/auth/canonical-request'
import { hmac, signingKeyOf } from '@millrace/sagemaker-local/auth/sigv4'
import { cacheDirectory } from '@millrace/scoring/python-environment'
import { z } from 'zod'

/** What was looked at and found, and what to do about it if it is a problem. */
export interface Finding {
  about: string
  found: string
  advice?: string
}

export interface CheckOptions {
  /** Where the control plane answers; else `AWS_ENDPOINT_URL`, else where it listens by itself. */
  url?: string
  dataDir?: string
  environment: NodeJS.ProcessEnv
}

const About = z.object({
  region: z.string(),
  accountId: z.string(),
  roleName: z.string(),
  needsKeys: z.boolean(),
})
type Plane = z.infer<typeof About> & { url: string; skewMs: number }

const DEFAULT_URL = 'http://127.0.0.1:5055'
const ANSWER_MS = 3_000
/** What SigV4 allows, S3 apart. */
const SKEW_MAX_MS = 5 * 60_000
const FREE_BYTES_MIN = 5 * 2 ** 30
const GIGABYTE = 2 ** 30
const METADATA = '/opt/ml/metadata/resource-metadata.json'
const LINUX_PROGRAMS = ['unshare', 'mount', 'prlimit', 'setpriv', 'taskset']

/** Looks at all that has to be right for a script of this shell to train on this machine. */
export async function checkSageMaker(options: CheckOptions): Promise<Finding[]> {
  const { environment } = options
  const url = (options.url ?? environment['AWS_ENDPOINT_URL'] ?? DEFAULT_URL).replace(/\/+$/, '')
  const plane = await askPlane(url)
  return [
    ...(typeof plane === 'string'
      ? [problem('control plane', plane, 'Start one: millrace sagemaker-local')]
      : [
          ok('control plane', `${url}, account ${plane.accountId}`),
          checkClock(plane),
          await checkCaller(plane, environment),
          checkBucket(plane, environment),
          ...(await checkProxy(plane, environment)),
        ]),
    checkEndpoint(url, environment),
    checkKeys(environment),
    checkRegion(environment),
    checkRole(typeof plane === 'string' ? undefined : plane),
    ...(await checkMachine(options)),
  ]
}

function ok(about: string, found: string): Finding {
  return { about, found }
}

function problem(about: string, found: string, advice: string): Finding {
  return { about, found, advice }
}

async function askPlane(url: string): Promise<Plane | string> {
  try {
    const answer = await fetch(`${url}/.millrace/about`, { signal: AbortSignal.timeout(ANSWER_MS) })
    const saidMs = Date.parse(answer.headers.get('date') ?? '')
    const skewMs = Number.isNaN(saidMs) ? 0 : Math.abs(Date.now() - saidMs)
    return { ...About.parse(await answer.json()), url, skewMs }
  } catch (error) {
    const isOther = error instanceof z.ZodError || error instanceof SyntaxError
    return isOther ? `what answers at ${url} is none` : `nothing answers at ${url}`
  }
}

function checkClock({ skewMs }: Plane): Finding {
  const seconds = `${Math.round(skewMs / 1000)} s apart`
  if (skewMs <= SKEW_MAX_MS) return ok('clocks', seconds)
  return problem('clocks', seconds, 'Signatures are refused from 5 minutes on: set this clock.')
}

async function checkCaller(plane: Plane, environment: NodeJS.ProcessEnv): Promise<Finding> {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = environment
  if (!id || !secret) return ok('caller', 'not asked for without keys')
  const body = 'Action=GetCallerIdentity&Version=2011-06-15'
  const headers = signedHeaders(plane, body, {
    id,
    secret,
    token: environment['AWS_SESSION_TOKEN'],
  })
  const answer = await fetch(`${plane.url}/`, { method: 'POST', headers, body })
  const said = await answer.text()
  const arn = /<Arn>(.*)<\/Arn>/.exec(said)?.[1]
  if (arn !== undefined) return ok('caller', arn)
  return problem(
    'caller',
    /<Message>(.*)<\/Message>/s.exec(said)?.[1] ?? `answered ${answer.status}`,
    plane.needsKeys
      ? 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to an --access-key of the control plane.'
      : 'eval "$(millrace env)" sets keys that it takes.',
  )
}

interface Keys {
  id: string
  secret: string
  token: string | undefined
}

function signedHeaders({ url, region }: Plane, body: string, { id, secret, token }: Keys) {
  const signedAt = new Date().toISOString().replace(/\.\d+|[-:]/g, '')
  const scope = { accessKeyId: id, date: signedAt.slice(0, 8), region, service: 'sts' }
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    'x-amz-date': signedAt,
    ...(token === undefined ? {} : { 'x-amz-security-token': token }),
  }
  const all = { ...headers, host: new URL(url).host }
  const names = Object.keys(all).sort()
  const canonical = canonicalRequest(
    { method: 'POST', url: '/', headers: all },
    { signedHeaders: names, payload: sha256(body), isS3: false },
  )
  const credential = `${scope.date}/${region}/sts/aws4_request`
  const text = ['AWS4-HMAC-SHA256', signedAt, credential, sha256(canonical)].join('\n')
  const signature = hmac(signingKeyOf(secret, scope), text).toString('hex')
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${id}/${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function checkEndpoint(url: string, environment: NodeJS.ProcessEnv): Finding {
  const about = 'AWS_ENDPOINT_URL'
  const set = environment[about]?.replace(/\/+$/, '')
  const advice = `eval "$(millrace env --url ${url})"`
  if (environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true') {
    return problem(about, 'ignored', 'unset AWS_IGNORE_CONFIGURED_ENDPOINT_URLS')
  }
  const [other] = Object.entries(environment).filter(
    ([name, value]) => name.startsWith(`${about}_`) && value?.replace(/\/+$/, '') !== url,
  )
  if (other) return problem(about, `${other[0]} leads to ${other[1]}`, `unset ${other[0]}`)
  if (set === undefined) return problem(about, 'not set: requests would go to AWS', advice)
  return set === url ? ok(about, url) : problem(about, `leads to ${set}`, advice)
}

function checkKeys({ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE }: NodeJS.ProcessEnv) {
  if (AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY) {
    return AWS_PROFILE
      ? problem('credentials', `AWS_PROFILE is ${AWS_PROFILE} too`, 'unset AWS_PROFILE')
      : ok('credentials', `key ${AWS_ACCESS_KEY_ID}`)
  }
  const found = AWS_PROFILE ? `those of the profile ${AWS_PROFILE}` : 'none in the environment'
  return problem('credentials', found, 'SDKs sign nothing without keys: eval "$(millrace env)"')
}

function checkRegion({ AWS_REGION, AWS_DEFAULT_REGION }: NodeJS.ProcessEnv): Finding {
  const region = AWS_REGION ?? AWS_DEFAULT_REGION
  if (region === undefined) {
    return problem('region', 'not set', 'boto3 asks for one: eval "$(millrace env)"')
  }
  if (AWS_REGION && AWS_DEFAULT_REGION && AWS_REGION !== AWS_DEFAULT_REGION) {
    return problem(
      'region',
      `AWS_REGION is ${AWS_REGION}, AWS_DEFAULT_REGION ${AWS_DEFAULT_REGION}`,
      'boto3 reads the latter and other SDKs the former: set both to the same.',
    )
  }
  return ok('region', region)
}

function checkRole(plane: Plane | undefined): Finding {
  const role = `arn:aws:iam::${plane?.accountId ?? '<account>'}:role/${plane?.roleName ?? '<role>'}`
  const known = existsSync(METADATA) ? `${METADATA} names one` : 'get_execution_role() asks IAM'
  return ok('role', `any; ${role} is the plane's own; ${known}`)
}

function checkBucket(plane: Plane, environment: NodeJS.ProcessEnv): Finding {
  const about = 'SDK configuration'
  const file = environment['SAGEMAKER_USER_CONFIG_OVERRIDE']
  const advice = 'eval "$(millrace env)" writes one and names it.'
  if (file === undefined) {
    return problem(about, 'none: the SageMaker SDK would ask AWS who calls', advice)
  }
  if (!existsSync(file)) return problem(about, `${file} is not there`, advice)
  const bucket = /^\s*DefaultS3Bucket:\s*(\S+)/m.exec(readFileSync(file, 'utf8'))?.[1]
  if (bucket === undefined) return problem(about, `${file} names no DefaultS3Bucket`, advice)
  const region = environment['AWS_REGION'] ?? plane.region
  const own = `sagemaker-${region}-${plane.accountId}`
  return bucket.startsWith('sagemaker-') && bucket !== own
    ? problem(about, `its bucket ${bucket} is not ${own}`, advice)
    : ok(about, `bucket ${bucket}, made at its first use`)
}

async function checkProxy({ url }: Plane, environment: NodeJS.ProcessEnv): Promise<Finding[]> {
  const proxy = environment['HTTPS_PROXY'] ?? environment['https_proxy']
  if (proxy?.replace(/\/+$/, '') !== url) return []
  const own = await (await fetch(`${url}/.millrace/authority.pem`)).text()
  const trusts = (name: string) => {
    const file = environment[name]
    return file && existsSync(file) && readFileSync(file, 'utf8').includes(own.trim())
  }
  const missing = ['AWS_CA_BUNDLE', 'REQUESTS_CA_BUNDLE'].find((name) => !trusts(name))
  return missing === undefined
    ? [ok('proxy', 'its authority is trusted')]
    : [problem('proxy', `${missing} does not hold its authority`, 'eval "$(millrace env --proxy)"')]
}

async function checkMachine({ dataDir, environment }: CheckOptions): Promise<Finding[]> {
  const data =
    dataDir ??
    environment['MILLRACE_SAGEMAKER_DATA'] ??
    join(homedir(), '.millrace', 'sagemaker-local')
  return [
    ...(process.platform === 'linux' ? [checkPrograms(environment)] : []),
    await checkIsolation(),
    checkPython(environment),
    await checkDisk('disk of the data', data),
    await checkDisk('disk of environments', cacheDirectory(environment)),
  ]
}

function checkPrograms(environment: NodeJS.ProcessEnv): Finding {
  const missing = LINUX_PROGRAMS.filter((name) => !isOnPath(name, environment))
  return missing.length === 0
    ? ok('programs', LINUX_PROGRAMS.join(', '))
    : problem('programs', `${missing.join(', ')} not found`, 'Install util-linux.')
}

async function checkIsolation(): Promise<Finding> {
  const about = 'isolation of jobs'
  const { isolationFor } = await import('@millrace/sagemaker-local/runner/instance/isolation')
  const { kind } = isolationFor(0)
  if (kind === 'namespaces') return ok(about, 'namespaces, and a user for each job')
  if (kind === 'none') {
    return problem(
      about,
      'none: jobs see this machine, and images and `train` programs do not run',
      process.platform === 'linux'
        ? 'Run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0).'
        : 'Use Linux, or a container of it.',
    )
  }
  return existsSync('/opt/ml')
    ? ok(about, 'user namespaces')
    : problem(about, '/opt/ml is not there', 'Once: sudo mkdir -p /opt/ml')
}

function checkPython(environment: NodeJS.ProcessEnv): Finding {
  if (isOnPath('uv', environment)) return ok('Python environments', 'made by uv')
  const advice = 'Install uv: framework images need the Python of their release.'
  const found = isOnPath('python3', environment) ? 'only python3' : 'neither uv nor python3'
  return problem('Python environments', found, advice)
}

async function checkDisk(about: string, folder: string): Promise<Finding> {
  let there = folder
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there)
  const { bavail, bsize } = await statfs(there)
  const found = `${((bavail * bsize) / GIGABYTE).toFixed(1)} GB free at ${folder}`
  const canWrite = isAllowed(there, constants.W_OK)
  if (!canWrite) return problem(about, `${there} cannot be written to`, 'Choose another folder.')
  return bavail * bsize >= FREE_BYTES_MIN
    ? ok(about, found)
    : problem(about, found, 'Jobs and environments take gigabytes: make room or choose another.')
}

function isOnPath(name: string, environment: NodeJS.ProcessEnv): boolean {
  return (environment['PATH'] ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .some((file) => isAllowed(file, constants.X_OK) && statSync(file).isFile())
}

function isAllowed(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
