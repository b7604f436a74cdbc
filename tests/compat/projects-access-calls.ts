import { once } from 'node:events'
import { createServer, request as forward, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { roleCallsOf } from './projects-role-calls.ts'

/** What a request asks IAM for: an action on a resource, and what conditions may look at. */
export interface AwsCall {
  action: string
  resource: string
  context: Readonly<Record<string, string>>
}

/** An address that passes requests on to a control plane and remembers what they ask for. */
export interface CallRecorder extends AsyncDisposable {
  url: string
  /** All calls since the start, in their order. */
  calls: AwsCall[]
  /** What SageMaker does for those calls, as the role that they name. */
  roleCalls: AwsCall[]
}

const PREFIX = 'aws'
const ACCOUNT = '123456789012'

/** Starts a recorder before a control plane. */
export async function recordCalls(plane: string): Promise<CallRecorder> {
  const calls: AwsCall[] = []
  const roleCalls: AwsCall[] = []
  const server = createServer(async (request, response) => {
    const body = await buffer(request)
    calls.push(...callsOf(request, body.toString('latin1')))
    roleCalls.push(...roleCallsOfRequest(request, body.toString('latin1')))
    const { method, url, headers } = request
    const { expect: _, ...passedOn } = headers
    const sent = forward(new URL(url ?? '/', plane), { method, headers: passedOn }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(response)
    })
    sent.on('error', () => response.destroy())
    sent.end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    roleCalls,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function roleCallsOfRequest({ headers }: IncomingMessage, body: string): AwsCall[] {
  const [, operation] = /^SageMaker\.(Create\w+)$/.exec(`${headers['x-amz-target']}`) ?? []
  const [, region] = /Credential=[^/]+\/\d+\/([^/]+)\//.exec(headers.authorization ?? '') ?? []
  if (operation === undefined) return []
  const arn = (name: string, rest: string) => `arn:${PREFIX}:${name}:${region}:${ACCOUNT}:${rest}`
  return roleCallsOf(operation, JSON.parse(body), arn)
}

/** The service authorisation reference, for the requests that our commands and stock clients send. */
function callsOf({ method = 'GET', url = '/', headers }: IncomingMessage, body: string): AwsCall[] {
  const { pathname, searchParams } = new URL(url, 'http://plane')
  const [, region = '', service] =
    /Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\//.exec(headers.authorization ?? '') ?? []
  const target = `${headers['x-amz-target']}`.split('.')
  const arn = (name: string, rest: string) => `arn:${PREFIX}:${name}:${region}:${ACCOUNT}:${rest}`
  if (pathname.startsWith('/v2/')) return registryCalls(method, pathname)
  const input = () => JSON.parse(body) as Record<string, unknown>
  if (target[0] === 'SageMaker') return sagemakerCalls(target[1] ?? '', input(), arn)
  if (target[0] === 'Logs_20140328') {
    const { logGroupName, logStreamName } = input()
    const stream = logStreamName === undefined ? '' : `:log-stream:${logStreamName}`
    return [call(`logs:${target[1]}`, arn('logs', `log-group:${logGroupName}${stream}`))]
  }
  if (target[0]?.startsWith('AmazonEC2ContainerRegistry')) {
    const { repositoryName, repositoryNames } = input()
    const [name = repositoryName] = (repositoryNames ?? []) as string[]
    const isLogin = target[1] === 'GetAuthorizationToken'
    return [call(`ecr:${target[1]}`, isLogin ? '*' : arn('ecr', `repository/${name}`))]
  }
  const query = new URLSearchParams(body)
  const asked = `${service}:${query.get('Action')}`
  // Everybody may ask who he is.
  if (asked === 'sts:GetCallerIdentity') return []
  if (asked === 'iam:GetRole') {
    return [call(asked, `arn:${PREFIX}:iam::${ACCOUNT}:role/${query.get('RoleName')}`)]
  }
  if (asked === 'iam:SimulatePrincipalPolicy') {
    return [call(asked, `${query.get('PolicySourceArn')}`)]
  }
  if (service === 'sagemaker' && pathname.startsWith('/endpoints/')) {
    return [
      call('sagemaker:InvokeEndpoint', arn('sagemaker', `endpoint/${pathname.split('/')[2]}`)),
    ]
  }
  if (service === 's3') return s3Calls(method, pathname, searchParams, headers)
  return [call(`unknown:${method} ${pathname} ${asked}`, '*')]
}

function call(action: string, resource: string, context: AwsCall['context'] = {}): AwsCall {
  return { action, resource, context }
}

function sagemakerCalls(
  operation: string,
  input: Record<string, unknown>,
  arn: (service: string, rest: string) => string,
): AwsCall[] {
  const of = (kind: string, field: string) => arn('sagemaker', `${kind}/${input[field]}`)
  const kinds: [RegExp, () => string[]][] = [
    [/^(?:Add|List|Delete)Tags$/, () => [`${input['ResourceArn']}`]],
    [
      /HyperParameterTuningJob$/,
      () => [of('hyper-parameter-tuning-job', 'HyperParameterTuningJobName')],
    ],
    [/^List/, () => ['*']],
    [/TrainingJob$/, () => [of('training-job', 'TrainingJobName')]],
    [/TransformJob$/, () => [of('transform-job', 'TransformJobName')]],
    [
      /^(?:Create|Update)Endpoint$/,
      () => [of('endpoint', 'EndpointName'), of('endpoint-config', 'EndpointConfigName')],
    ],
    [/EndpointConfig$/, () => [of('endpoint-config', 'EndpointConfigName')]],
    [/Endpoint$/, () => [of('endpoint', 'EndpointName')]],
    [/Model$/, () => [of('model', 'ModelName')]],
  ]
  const found = kinds.find(([pattern]) => pattern.test(operation))?.[1]() ?? ['unknown']
  const trial = (input['TrainingJobDefinition'] ?? {}) as Record<string, unknown>
  const role = input['RoleArn'] ?? input['ExecutionRoleArn'] ?? trial['RoleArn']
  const tags = (input['Tags'] ?? []) as unknown[]
  return [
    ...found.map((resource) => call(`sagemaker:${operation}`, resource)),
    ...(operation.startsWith('Create') && tags.length > 0
      ? [call('sagemaker:AddTags', found[0] ?? '*')]
      : []),
    ...(role
      ? [call('iam:PassRole', `${role}`, { 'iam:PassedToService': 'sagemaker.amazonaws.com' })]
      : []),
  ]
}

function s3Calls(
  method: string,
  pathname: string,
  query: URLSearchParams,
  headers: IncomingMessage['headers'],
): AwsCall[] {
  const [, bucket = '', ...rest] = decodeURIComponent(pathname).split('/')
  const key = rest.join('/')
  if (bucket === '') return [call('s3:ListAllMyBuckets', '*')]
  const arn = `arn:${PREFIX}:s3:::${bucket}`
  if (key === '') {
    if (method === 'PUT') return [call('s3:CreateBucket', arn)]
    if (query.has('location')) return [call('s3:GetBucketLocation', arn)]
    const isList = (method === 'GET' || method === 'HEAD') && ![...query.keys()].some(isSubresource)
    return [call(isList ? 's3:ListBucket' : `unknown:${method} ${pathname}?${query}`, arn)]
  }
  const verb =
    { GET: 'Get', HEAD: 'Get', PUT: 'Put', POST: 'Put', DELETE: 'Delete' }[method] ?? method
  if (query.has('tagging')) return [call(`s3:${verb}ObjectTagging`, `${arn}/${key}`)]
  if (method === 'DELETE' && query.has('uploadId')) {
    return [call('s3:AbortMultipartUpload', `${arn}/${key}`)]
  }
  return [
    call(`s3:${verb}Object`, `${arn}/${key}`),
    ...(headers['x-amz-tagging'] ? [call('s3:PutObjectTagging', `${arn}/${key}`)] : []),
    ...(headers['x-amz-acl'] ? [call('s3:PutObjectAcl', `${arn}/${key}`)] : []),
  ]
}

function isSubresource(name: string): boolean {
  return !/^(?:list-type|prefix|delimiter|max-keys|encoding-type|continuation-token|start-after|marker|x-id)$/.test(
    name,
  )
}

/** What Amazon ECR asks IAM for when the registry's own protocol is spoken. */
function registryCalls(method: string, pathname: string): AwsCall[] {
  const [, name, kind, rest = ''] =
    /^\/v2\/(.+)\/(blobs|manifests|referrers|tags)\/(.*)$/.exec(pathname) ?? []
  if (name === undefined) return []
  const rights: Record<string, string> = {
    'HEAD blobs': 'BatchCheckLayerAvailability',
    'GET blobs': 'GetDownloadUrlForLayer',
    'POST uploads': 'InitiateLayerUpload',
    'PATCH uploads': 'UploadLayerPart',
    'GET uploads': 'UploadLayerPart',
    'PUT uploads': 'CompleteLayerUpload',
    'HEAD manifests': 'BatchGetImage',
    'GET manifests': 'BatchGetImage',
    'GET referrers': 'BatchGetImage',
    'PUT manifests': 'PutImage',
    'DELETE manifests': 'BatchDeleteImage',
  }
  const right = rights[`${method} ${rest.startsWith('uploads/') ? 'uploads' : kind}`]
  const resource = `arn:${PREFIX}:ecr:us-east-1:${ACCOUNT}:repository/${name}`
  return [call(right ? `ecr:${right}` : `unknown:${method} ${pathname}`, resource)]
}
