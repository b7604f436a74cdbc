import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { accessPolicy, POLICIES, type PolicyName } from '@millrace/sagemaker/access/access-policies'
import { principalOf, simulateAccess, whoCalls } from '@millrace/sagemaker/access/simulate-access'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'

const SCOPE = {
  partition: 'aws',
  region: 'eu-central-1',
  account: '123456789012',
  project: 'mlflow',
  bucket: 'b',
  key: 'arn:aws:kms:eu-central-1:123456789012:key/k',
  databaseSecret: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:s',
}
const NAMES = Object.keys(POLICIES) as PolicyName[]
/** Statements about what AWS gives no name before it is made, or no way to name. */
const NAMELESS = [
  'Login',
  'Template',
  'MakeKey',
  'Network',
  'Balancers',
  'SignIn',
  'Firewall',
  'Rest',
  'Lists',
  'Metrics',
  'FindBuckets',
]

describe.each(NAMES)('the policy %s', (name) => {
  const { Statement } = accessPolicy(name, SCOPE)

  test('has no action with a star, and names what it is about wherever AWS lets it', () => {
    const everywhere = Statement.filter(({ Resource }) => Resource.includes('*'))

    expect(Statement.flatMap(({ Action }) => Action).filter((a) => a.includes('*'))).toEqual([])
    expect(everywhere.map(({ Sid }) => Sid).filter((sid) => !NAMELESS.includes(sid))).toEqual([])
  })

  test('fits into a managed policy of IAM and gives a role away only to a service', () => {
    const passed = Statement.filter(({ Action }) => Action.includes('iam:PassRole'))

    expect(JSON.stringify(Statement).length).toBeLessThan(6144)
    for (const { Condition } of passed) {
      expect(Condition?.['StringEquals']).toHaveProperty('iam:PassedToService')
    }
  })
})

describe('asking IAM', () => {
  let server: Server
  let url: string
  let asked: URLSearchParams[]
  let denied: string | undefined

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      const query = new URLSearchParams(await text(request))
      asked.push(query)
      const [status, body] = answer(query, denied)
      response.writeHead(status, { 'content-type': 'text/xml' }).end(body)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  beforeEach(() => {
    asked = []
    denied = undefined
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret')
    vi.stubEnv('AWS_REGION', 'eu-central-1')
  })
  afterEach(() => vi.unstubAllEnvs())

  test('says who calls, and takes the role behind a session for the one to ask about', async () => {
    const caller = await whoCalls(url)

    expect(caller).toMatchObject({
      account: '123456789012',
      partition: 'aws',
      region: 'eu-central-1',
    })
    expect(principalOf(caller.arn)).toBe('arn:aws:iam::123456789012:role/Deployer')
  })

  test('asks about every action of the policy and tells which one is missing', async () => {
    denied = 'ecr:PutImage'
    const policy = accessPolicy('push', SCOPE)
    const found = await simulateAccess(policy, 'arn:aws:iam::123456789012:role/Deployer', url)

    expect(found.map(({ action }) => action)).toEqual(
      policy.Statement.flatMap(({ Action }) => Action),
    )
    expect(found.filter(({ decision }) => decision !== 'allowed')).toEqual([
      {
        sid: 'PushImage',
        action: 'ecr:PutImage',
        resource: 'arn:aws:ecr:eu-central-1:123456789012:repository/mlflow*',
        decision: 'implicitDeny',
      },
    ])
  })

  test('gives IAM what a condition asks for', async () => {
    await simulateAccess(accessPolicy('deploy', SCOPE), 'arn:aws:iam::1:role/x', url)
    const pass = asked.find((query) => query.get('ActionNames.member.1') === 'iam:PassRole')

    expect(pass?.get('ContextEntries.member.1.ContextKeyName')).toBe('iam:PassedToService')
    expect(pass?.get('ContextEntries.member.1.ContextKeyValues.member.1')).toBe(
      'cloudformation.amazonaws.com',
    )
  })

  test('says in one sentence that IAM may not be asked, or has nothing to say about root', async () => {
    denied = 'iam'
    const policy = accessPolicy('task', SCOPE)

    await expect(simulateAccess(policy, 'arn:aws:iam::1:role/x', url)).rejects.toThrow(
      'the caller lacks iam:SimulatePrincipalPolicy',
    )
    await expect(simulateAccess(policy, 'arn:aws:iam::1:root', url)).rejects.toThrow(
      'is the root user',
    )
  })
})

/** IAM and STS as they answer these calls (AWS Query protocol, XML). */
function answer(query: URLSearchParams, denied: string | undefined): [number, string] {
  if (query.get('Action') === 'GetCallerIdentity') {
    const arn = 'arn:aws:sts::123456789012:assumed-role/Deployer/session'
    return [
      200,
      `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>${arn}</Arn><UserId>A:s</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`,
    ]
  }
  if (denied === 'iam') {
    return [
      403,
      '<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>',
    ]
  }
  const members = [...query].filter(([name]) => name.startsWith('ActionNames.member.'))
  const resource = query.get('ResourceArns.member.1')
  const results = members.map(
    ([, action]) =>
      `<member><EvalActionName>${action}</EvalActionName><EvalResourceName>${resource}</EvalResourceName><EvalDecision>${action === denied ? 'implicitDeny' : 'allowed'}</EvalDecision></member>`,
  )
  return [
    200,
    `<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>${results.join('')}</EvaluationResults><IsTruncated>false</IsTruncated></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>`,
  ]
}
