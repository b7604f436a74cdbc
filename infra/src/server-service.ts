import { Duration, RemovalPolicy, type Stack } from 'aws-cdk-lib'
import type * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as ecs from 'aws-cdk-lib/aws-ecs'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as logs from 'aws-cdk-lib/aws-logs'
import type * as s3 from 'aws-cdk-lib/aws-s3'
import { accept } from './accepted-findings.ts'
import type { DatabaseServer } from './database.ts'
import type { StackParameters } from './deployment.ts'
import { allowImagePull } from './image-access.ts'
import { allowArtifacts } from './storage.ts'

export const SERVER_PORT = 5000

/** The tasks of the server and what they write. */
export interface ServerService {
  cluster: ecs.Cluster
  service: ecs.FargateService
  task: ecs.FargateTaskDefinition
  logGroup: logs.LogGroup
}

export interface ServerParts {
  vpc: ec2.IVpc
  group: ec2.ISecurityGroup
  bucket: s3.Bucket
  database: DatabaseServer
  key: kms.IKey
  parameters: StackParameters
  /** Names that the server answers to, besides addresses of the network. */
  domainName: string
}

/**
 * One to two tasks of 0.5 vCPU on arm64, more at 70 % of their processors; read-only, without
 * rights beyond the artifacts, rolled back when a new version does not become healthy.
 */
export function addServer(stack: Stack, parts: ServerParts): ServerService {
  const logGroup = new logs.LogGroup(stack, 'ServerLogs', {
    retention: logs.RetentionDays.ONE_YEAR,
    encryptionKey: parts.key,
    removalPolicy: RemovalPolicy.RETAIN,
  })
  const cluster = new ecs.Cluster(stack, 'Cluster', {
    vpc: parts.vpc,
    containerInsightsV2: ecs.ContainerInsights.ENHANCED,
  })
  const task = addTask(stack, parts, logGroup)
  const service = new ecs.FargateService(stack, 'Server', {
    cluster,
    taskDefinition: task,
    desiredCount: 1,
    minHealthyPercent: 100,
    maxHealthyPercent: 200,
    circuitBreaker: { enable: true, rollback: true },
    healthCheckGracePeriod: Duration.minutes(2),
    securityGroups: [parts.group],
    vpcSubnets: { subnetGroupName: 'server' },
    assignPublicIp: false,
    enableExecuteCommand: false,
    propagateTags: ecs.PropagatedTagSource.SERVICE,
  })
  service.autoScaleTaskCount({ minCapacity: 1, maxCapacity: 2 }).scaleOnCpuUtilization('Cpu', {
    targetUtilizationPercent: 70,
    scaleInCooldown: Duration.seconds(60),
    scaleOutCooldown: Duration.seconds(60),
  })
  return { cluster, service, task, logGroup }
}

function addTask(stack: Stack, parts: ServerParts, logGroup: logs.LogGroup) {
  const { bucket, database, key, parameters, domainName } = parts
  const task = new ecs.FargateTaskDefinition(stack, 'Task', {
    cpu: 512,
    memoryLimitMiB: 1024,
    runtimePlatform: {
      cpuArchitecture: ecs.CpuArchitecture.ARM64,
      operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
    },
    executionRole: addExecutionRole(stack, { parameters, database, key, logGroup }),
    volumes: [{ name: 'data' }, { name: 'tmp' }],
  })
  allowArtifacts(stack, task.taskRole, bucket, key)
  accept(
    task,
    'AwsSolutions-ECS2',
    'The environment holds no secret: the password comes from Secrets Manager, the rest are names.',
  )
  const container = task.addContainer('server', {
    image: ecs.ContainerImage.fromRegistry(parameters.image),
    portMappings: [{ containerPort: SERVER_PORT }],
    readonlyRootFilesystem: true,
    linuxParameters: withoutCapabilities(stack),
    logging: ecs.LogDrivers.awsLogs({ logGroup, streamPrefix: 'server' }),
    healthCheck: {
      command: ['CMD', '/usr/local/bin/node', '/opt/millrace/health-check.mjs'],
      interval: Duration.seconds(15),
      timeout: Duration.seconds(5),
      startPeriod: Duration.seconds(60),
    },
    stopTimeout: Duration.seconds(60),
    environment: {
      ...database.environment,
      MILLRACE_ARTIFACTS_DESTINATION: `s3://${bucket.bucketName}/artifacts`,
      MILLRACE_ALLOWED_HOSTS: domainName,
      MILLRACE_CORS_ALLOWED_ORIGINS: `https://${domainName}`,
      // Who comes in is decided in front of the server, which nothing else can reach.
      MILLRACE_ALLOW_UNAUTHENTICATED: 'true',
    },
    secrets: {
      MILLRACE_DATABASE_PASSWORD: ecs.Secret.fromSecretsManager(database.secret, 'password'),
    },
  })
  container.addMountPoints(
    { sourceVolume: 'data', containerPath: '/data', readOnly: false },
    { sourceVolume: 'tmp', containerPath: '/tmp', readOnly: false },
  )
  return task
}

function withoutCapabilities(stack: Stack): ecs.LinuxParameters {
  const parameters = new ecs.LinuxParameters(stack, 'Capabilities', { initProcessEnabled: true })
  parameters.dropCapabilities(ecs.Capability.ALL)
  return parameters
}

/** What ECS itself may do to start a task: pull the image, read the password, write the log. */
function addExecutionRole(
  stack: Stack,
  {
    parameters,
    database,
    key,
    logGroup,
  }: Pick<ServerParts, 'parameters' | 'database' | 'key'> & { logGroup: logs.LogGroup },
): iam.Role {
  const role = new iam.Role(stack, 'ExecutionRole', {
    assumedBy: new iam.ServicePrincipal('ecs-tasks.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
    }),
  })
  allowImagePull(stack, role, parameters.projectName)
  const statements = [
    {
      sid: 'DatabasePassword',
      actions: ['secretsmanager:GetSecretValue'],
      resources: [database.secretArn],
    },
    { sid: 'SecretKey', actions: ['kms:Decrypt'], resources: [key.keyArn] },
    {
      sid: 'WriteLogs',
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [logGroup.logGroupArn],
    },
  ]
  for (const statement of statements) role.addToPolicy(new iam.PolicyStatement(statement))
  return role.withoutPolicyUpdates() as iam.Role
}
