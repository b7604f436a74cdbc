import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { accessPolicy } from '../../packages/sagemaker/src/access/access-policies.ts'
import { createApp } from './app.ts'
import type { Deployment } from './deployment.ts'
import { estimate, estimateText, pricePages, REGIONS } from './estimate.ts'
import prices from './prices.json' with { type: 'json' }

interface Resource {
  Type: string
  Properties: Record<string, unknown>
  DependsOn?: string[]
  DeletionPolicy?: string
}

interface Statement {
  Condition?: unknown
  Effect: string
  Action: string | string[]
  Resource?: unknown
}

const RANGE = '203.0.113.0/24'
const DEPLOYMENTS = {
  'single with SQLite': { profile: 'single', database: 'sqlite', allowedCidrs: [] },
  'single with PostgreSQL': { profile: 'single', database: 'postgresql', allowedCidrs: [] },
  'standard for a range': { profile: 'standard', database: 'mysql', allowedCidrs: [RANGE] },
  'standard inside': { profile: 'standard', database: 'postgresql', allowedCidrs: [] },
  regulated: { profile: 'regulated', database: 'postgresql', allowedCidrs: [] },
} as const satisfies Record<string, Deployment>

const folder = mkdtempSync(join(tmpdir(), 'millrace-infra-'))
afterAll(() => rmSync(folder, { recursive: true }))

const made = new Map<
  string,
  { text: string; resources: Record<string, Resource>; findings: unknown[] }
>()
for (const [name, deployment] of Object.entries(DEPLOYMENTS)) {
  const output = join(folder, name)
  const { app, stack } = createApp(
    { ...deployment, allowedCidrs: [...deployment.allowedCidrs] },
    output,
  )
  app.synth()
  const text = readFileSync(join(output, stack.templateFile), 'utf8')
  const { Resources } = JSON.parse(text) as { Resources: Record<string, Resource> }
  const { pluginReports } = JSON.parse(
    readFileSync(join(output, 'validation-report.json'), 'utf8'),
  ) as { pluginReports: unknown[] }
  made.set(name, { text, resources: Resources, findings: pluginReports })
}

function templateOf(name: string) {
  const template = made.get(name)
  if (!template) throw new Error(`No template '${name}'`)
  const ofType = (type: string) =>
    Object.entries(template.resources)
      .filter(([, resource]) => resource.Type === type)
      .map(([id, resource]) => ({ id, ...resource }))
  return { ...template, ofType }
}

describe.each(Object.keys(DEPLOYMENTS))('the template of %s', (name) => {
  const { text, resources, findings, ofType } = templateOf(name)
  const isService = !name.startsWith('single')

  test('has no finding of cdk-nag or of CloudFormation that is not accepted with a reason', () => {
    expect(findings).toEqual([])
  })

  test('lets nothing in from anywhere but port 443 from the ranges that were named', () => {
    const rules = [
      ...ofType('AWS::EC2::SecurityGroup').flatMap(
        ({ Properties }) => (Properties['SecurityGroupIngress'] ?? []) as Record<string, unknown>[],
      ),
      ...ofType('AWS::EC2::SecurityGroupIngress').map(({ Properties }) => Properties),
    ]
    const ranges = rules.filter(({ CidrIp, CidrIpv6 }) => CidrIp || CidrIpv6)
    const allowed = name === 'standard for a range' ? [RANGE] : isService ? ['10.0.0.0/20'] : []

    expect([...new Set(ranges.map(({ CidrIp }) => CidrIp))]).toEqual(allowed)
    expect(ranges.filter(({ FromPort, ToPort }) => FromPort !== 443 || ToPort !== 443)).toEqual([])
    expect(ofType('AWS::EC2::KeyPair')).toEqual([])
  })

  test('gives no role an action with a star, and no resource but a login and metrics of SageMaker every name', () => {
    const statements = ['AWS::IAM::Policy', 'AWS::IAM::Role', 'AWS::IAM::ManagedPolicy'].flatMap(
      (type) =>
        ofType(type).flatMap(({ Properties }) => {
          const { PolicyDocument, Policies = [] } = Properties as {
            PolicyDocument?: { Statement: Statement[] }
            Policies?: { PolicyDocument: { Statement: Statement[] } }[]
          }
          const inline = Policies.flatMap(({ PolicyDocument: { Statement } }) => Statement)
          return [...(PolicyDocument?.Statement ?? []), ...inline]
        }),
    )
    const actions = statements.flatMap(({ Action }) => Action)
    const everywhere = statements.filter(({ Resource }) => Resource === '*')
    const metrics = everywhere.filter(({ Action }) => Action === 'cloudwatch:PutMetricData')

    expect(actions.length).toBeGreaterThan(5)
    expect(actions.filter((action) => action.includes('*'))).toEqual([])
    expect(new Set(everywhere.flatMap(({ Action }) => Action).filter(isNotDelivery))).toEqual(
      new Set(['ecr:GetAuthorizationToken', 'cloudwatch:PutMetricData']),
    )
    expect(metrics.map(({ Condition }) => Condition)).toEqual([
      { StringLike: { 'cloudwatch:namespace': '/aws/sagemaker/*' } },
    ])
  })

  test('encrypts everything that it keeps', () => {
    const unencrypted = [
      ...ofType('AWS::S3::Bucket').filter(({ Properties }) => !Properties['BucketEncryption']),
      ...ofType('AWS::RDS::DBInstance').filter(({ Properties }) => !Properties['StorageEncrypted']),
      ...ofType('AWS::EC2::Volume').filter(({ Properties }) => !Properties['Encrypted']),
      ...ofType('AWS::SNS::Topic').filter(({ Properties }) => !Properties['KmsMasterKeyId']),
      ...ofType('AWS::Logs::LogGroup').filter(
        ({ Properties }) => isService && !Properties['KmsKeyId'],
      ),
      ...ofType('AWS::CloudTrail::Trail').filter(({ Properties }) => !Properties['KMSKeyId']),
    ]
    const disks = ofType('AWS::EC2::Instance').flatMap(
      ({ Properties }) => Properties['BlockDeviceMappings'] as { Ebs: { Encrypted: boolean } }[],
    )

    expect(unencrypted.map(({ id }) => id)).toEqual([])
    expect(disks.filter(({ Ebs }) => !Ebs.Encrypted)).toEqual([])
    expect(ofType('AWS::S3::Bucket').length).toBeGreaterThan(1)
  })

  test('keeps its buckets private, and what it holds when the stack is deleted', () => {
    const policies = (type: string) => ofType(type).map(({ DeletionPolicy }) => DeletionPolicy)
    const access = ofType('AWS::S3::Bucket').map(
      ({ Properties }) => Properties['PublicAccessBlockConfiguration'],
    )
    const all = {
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    }

    expect(new Set(access.map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify(all)]),
    )
    expect(new Set(policies('AWS::S3::Bucket'))).toEqual(new Set(['Retain']))
    for (const { Properties, DeletionPolicy } of ofType('AWS::RDS::DBInstance')) {
      expect(Properties).toMatchObject({ DeletionProtection: true, PubliclyAccessible: false })
      expect(DeletionPolicy).toBe('Snapshot')
    }
    for (const { DeletionPolicy } of ofType('AWS::EC2::Volume'))
      expect(DeletionPolicy).toBe('Snapshot')
    for (const { Properties } of ofType('AWS::ElasticLoadBalancingV2::LoadBalancer')) {
      const attribute = { Key: 'deletion_protection.enabled', Value: 'true' }
      expect(Properties['LoadBalancerAttributes']).toContainEqual(attribute)
    }
  })

  test('holds no password, and has RDS make it and TLS protect it', () => {
    expect(
      text.match(/"MasterUserPassword"|"PASSWORD"|"SecretString"|"GenerateSecretString"/),
    ).toBeNull()
    for (const { Properties } of ofType('AWS::RDS::DBInstance')) {
      expect(Properties).toMatchObject({ ManageMasterUserPassword: true })
      expect(text.includes('verify-full')).toBe(true)
    }
    for (const { Properties } of ofType('AWS::RDS::DBParameterGroup')) {
      expect(JSON.stringify(Properties)).toMatch(
        /rds.force_ssl":"1"|require_secure_transport":"ON"/,
      )
    }
    for (const { Properties } of ofType('AWS::ECS::TaskDefinition')) {
      const [container] = Properties['ContainerDefinitions'] as {
        Environment: { Name: string }[]
        Secrets: { Name: string }[]
      }[]
      expect(container?.Secrets.map(({ Name }) => Name)).toEqual(['MILLRACE_DATABASE_PASSWORD'])
      expect(
        container?.Environment.filter(({ Name }) => /PASSWORD|SECRET|TOKEN/.test(Name)),
      ).toEqual([])
    }
  })

  test('gives nothing a name that a second stack of the account would want too', () => {
    const named = Object.entries(resources).flatMap(([id, { Properties }]) =>
      Object.entries(Properties ?? {})
        .filter(([key]) =>
          /^(BucketName|DBInstanceIdentifier|RoleName|ClusterName|ServiceName|LogGroupName|FunctionName|DashboardName|AlarmName|UserPoolName|StateMachineName|TrailName|TopicName|AssociationName|BackupVaultName)$/.test(
            key,
          ),
        )
        .filter(([, value]) => typeof value === 'string')
        .map(([key, value]) => `${id} ${key} ${String(value)}`),
    )

    expect(named).toEqual([])
  })

  test('warns, watches the costs, and has the outputs that people look for', () => {
    const { Outputs, Parameters } = JSON.parse(text) as Record<string, Record<string, unknown>>

    expect(ofType('AWS::CloudWatch::Alarm').length).toBeGreaterThan(1)
    expect(ofType('AWS::CloudWatch::Dashboard').length).toBe(1)
    expect(ofType('AWS::Budgets::Budget').length).toBe(1)
    expect(ofType('AWS::Backup::BackupPlan').length).toBe(1)
    expect(Parameters).toHaveProperty('ProjectName')
    const expected = [
      'Url',
      'BucketName',
      'LogGroupName',
      ...(isService ? ['LoadBalancerDNS'] : []),
    ]
    expect(Object.keys(Outputs ?? {})).toEqual(expect.arrayContaining(expected))
  })
})

/** Logs of Step Functions and traces of X-Ray are delivered without a resource to name. */
function isNotDelivery(action: string): boolean {
  return !/^(logs:\w*(LogDelivery|LogDeliveries|ResourcePolic|LogGroups)\w*|xray:\w+)$/.test(action)
}

describe('the profiles standard and regulated', () => {
  const services = ['standard for a range', 'standard inside', 'regulated']

  test.each(services)(
    '%s runs one to two read-only tasks, more at 70 percent of their processors',
    (name) => {
      const { ofType } = templateOf(name)
      const [task] = ofType('AWS::ECS::TaskDefinition')
      const containers = task?.Properties['ContainerDefinitions']
      const [container] = (containers ?? []) as Record<string, unknown>[]

      expect(container).toMatchObject({
        ReadonlyRootFilesystem: true,
        LinuxParameters: { Capabilities: { Drop: ['ALL'] } },
      })
      expect(ofType('AWS::ApplicationAutoScaling::ScalableTarget')[0]?.Properties).toMatchObject({
        MinCapacity: 1,
        MaxCapacity: 2,
      })
      expect(JSON.stringify(ofType('AWS::ApplicationAutoScaling::ScalingPolicy')[0])).toContain(
        '"TargetValue":70',
      )
    },
  )

  test.each(services)(
    '%s brings the tables up to date before the service gets the new task',
    (name) => {
      const { ofType } = templateOf(name)
      const [migration] = ofType('AWS::CloudFormation::CustomResource')
      const [service] = ofType('AWS::ECS::Service')

      expect(service?.DependsOn).toContain(migration?.id)
      expect(migration?.Properties['TaskDefinition']).toEqual(service?.Properties['TaskDefinition'])
    },
  )

  test('standard signs people in by Cognito, and programs by a token with the right scope', () => {
    const { ofType } = templateOf('standard for a range')
    const actions = JSON.stringify(ofType('AWS::ElasticLoadBalancingV2::Listener')[0])
    const rule = JSON.stringify(ofType('AWS::ElasticLoadBalancingV2::ListenerRule'))

    expect(actions).toContain('"Type":"authenticate-cognito"')
    expect(actions).toContain('"Protocol":"HTTPS"')
    expect(rule).toContain('"Type":"jwt-validation"')
    expect(rule).toContain('"Values":["millrace/api"]')
    expect(ofType('AWS::Cognito::UserPool')[0]?.Properties).toMatchObject({
      AdminCreateUserConfig: { AllowAdminCreateUserOnly: true },
      DeletionProtection: 'ACTIVE',
      MfaConfiguration: 'ON',
    })
  })

  test('only standard with a range has a load balancer in the internet', () => {
    const schemes = services.map((name) =>
      templateOf(name)
        .ofType('AWS::ElasticLoadBalancingV2::LoadBalancer')
        .map(({ Properties }) => Properties['Scheme']),
    )

    expect(schemes).toEqual([['internet-facing'], ['internal'], ['internal', 'internal']])
  })

  test('regulated has no way to the internet, wants certificates, and locks its audit', () => {
    const { ofType } = templateOf('regulated')
    const [audit] = ofType('AWS::S3::Bucket').filter(
      ({ Properties }) => Properties['ObjectLockEnabled'],
    )

    expect(ofType('AWS::EC2::InternetGateway')).toEqual([])
    expect(ofType('AWS::EC2::NatGateway')).toEqual([])
    expect(ofType('AWS::EC2::VPCEndpoint').length).toBe(7)
    expect(JSON.stringify(audit?.Properties['ObjectLockConfiguration'])).toContain(
      '"Mode":"COMPLIANCE"',
    )
    expect(JSON.stringify(ofType('AWS::ElasticLoadBalancingV2::Listener'))).toContain(
      '"Mode":"verify"',
    )
    expect(ofType('AWS::EC2::VPCEndpointService')[0]?.Properties).toMatchObject({
      AcceptanceRequired: true,
    })
    expect(ofType('AWS::RDS::DBInstance')[0]?.Properties).toMatchObject({ MultiAZ: true })
  })
})

const SCOPE = { partition: 'p', region: 'r', account: 'a', project: 'x', bucket: 'b' }
const bySid = (statements: (Statement & { Sid?: string })[]) =>
  Object.fromEntries(statements.map(({ Sid, Action }) => [Sid, [Action].flat().sort()]))

test.each(Object.keys(DEPLOYMENTS))(
  'the jobs of %s may do what `millrace aws print-policy job` prints, and no more',
  (name) => {
    const key = name.startsWith('single') ? undefined : 'k'
    const printed = bySid(accessPolicy('job', { ...SCOPE, key }).Statement)
    const { ofType } = templateOf(name)
    const policies = ofType('AWS::IAM::Policy').filter(({ id }) => id.startsWith('JobRole'))
    const documents = policies.map(({ Properties }) => Properties['PolicyDocument'])

    const statements = (documents as { Statement: Statement[] }[]).flatMap((one) => one.Statement)
    expect(bySid(statements)).toEqual(printed)
    const [role] = ofType('AWS::IAM::Role').filter(({ id }) => id.startsWith('JobRole'))
    expect(role?.Properties['AssumeRolePolicyDocument']).toMatchObject({
      Statement: [{ Principal: { Service: 'sagemaker.amazonaws.com' } }],
    })
  },
)

test('the server of every profile may do what `millrace aws print-policy task` prints, and no more', () => {
  const scope = { ...SCOPE, key: 'k' }
  const printed = bySid(accessPolicy('task', scope).Statement)

  for (const name of ['standard inside', 'regulated']) {
    const [policy] = templateOf(name)
      .ofType('AWS::IAM::Policy')
      .filter(({ id }) => id.startsWith('TaskTaskRole'))
    const document = policy?.Properties['PolicyDocument'] ?? { Statement: [] }
    const { Statement } = document as { Statement: Statement[] }
    expect(bySid(Statement)).toEqual(printed)
  }
})

describe('what is asked for', () => {
  test.each([
    [{ profile: 'standard', database: 'sqlite', allowedCidrs: [] }, 'SQLite does not serve'],
    [{ profile: 'single', database: 'sqlite', allowedCidrs: [RANGE] }, 'takes nothing from'],
    [{ profile: 'standard', database: 'mysql', allowedCidrs: ['0.0.0.0/0'] }, "'0.0.0.0/0' is not"],
  ] as const)('%j is refused with the reason', (deployment, reason) => {
    const asked = { ...deployment, allowedCidrs: [...deployment.allowedCidrs] }
    expect(() => createApp(asked, join(folder, 'refused'))).toThrow(reason)
  })

  test('is priced: a single instance costs less than a standard set-up, and it less than a regulated one', () => {
    const sums = Object.values(DEPLOYMENTS).map((deployment) => {
      const asked = { ...deployment, allowedCidrs: [...deployment.allowedCidrs] }
      return estimate(asked, 'us-east-1').reduce((sum, { dollars }) => sum + dollars, 0)
    })

    expect(sums[0]).toBeGreaterThan(15)
    expect(sums[0]).toBeLessThan(30)
    expect(sums[0]).toBeLessThan(sums[3] ?? 0)
    expect(sums[3]).toBeLessThan(sums[4] ?? 0)
    const regulated = { ...DEPLOYMENTS.regulated, allowedCidrs: [] }
    expect(estimateText(regulated, 'eu-central-1')).toMatch(
      /^An estimate, not an offer\. Prices of 2026-11: .*from memory.*\nCheck them at https:/m,
    )
  })

  test.each(REGIONS)(
    'is priced by figures of %s that say where each is to be checked',
    (region) => {
      const figures = [...Object.keys(prices.regions[region]), ...Object.keys(prices.everywhere)]

      expect(Object.keys(prices.checkAt).sort()).toEqual(figures.sort())
      expect(figures).toEqual(expect.arrayContaining(prices.publishedElsewhere[region]))
      expect(pricePages(region)).toContain('https://aws.amazon.com/kms/pricing/')
    },
  )
})
