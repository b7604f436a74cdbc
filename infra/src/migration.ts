import { readFileSync } from 'node:fs'
import { type CfnResource, CustomResource, Duration, RemovalPolicy, type Stack } from 'aws-cdk-lib'
import type * as ec2 from 'aws-cdk-lib/aws-ec2'
import type * as ecs from 'aws-cdk-lib/aws-ecs'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import * as logs from 'aws-cdk-lib/aws-logs'
import { accept } from './accepted-findings.ts'
import type { DatabaseServer } from './database.ts'
import type { ServerService } from './server-service.ts'

const PROGRAM = new URL('run-migration.cjs', import.meta.url)

/**
 * Runs `millrace db upgrade` in a task of its own each time that the task of the server changes,
 * before the service gets it. When it fails, so does the deployment, with its reason.
 */
export function addMigration(
  stack: Stack,
  { cluster, service, task }: ServerService,
  {
    vpc,
    group,
    database,
    key,
  }: {
    vpc: ec2.IVpc
    group: ec2.ISecurityGroup
    database: DatabaseServer
    key: kms.IKey
  },
): lambda.Function {
  const role = addRole(stack, { cluster, service, task })
  const runner = new lambda.Function(stack, 'MigrationRunner', {
    description: 'Runs millrace db upgrade once for each deployment',
    runtime: lambda.Runtime.NODEJS_24_X,
    architecture: lambda.Architecture.ARM_64,
    handler: 'index.handler',
    code: lambda.Code.fromInline(readFileSync(PROGRAM, 'utf8')),
    timeout: Duration.minutes(14),
    memorySize: 256,
    retryAttempts: 0,
    role,
    environmentEncryption: key,
    logGroup: new logs.LogGroup(stack, 'MigrationLogs', {
      retention: logs.RetentionDays.ONE_YEAR,
      encryptionKey: key,
      removalPolicy: RemovalPolicy.RETAIN,
    }),
  })
  runner.logGroup.grantWrite(role)
  const migration = new CustomResource(stack, 'Migration', {
    serviceToken: runner.functionArn,
    properties: {
      Cluster: cluster.clusterArn,
      TaskDefinition: task.taskDefinitionArn,
      Subnets: vpc.selectSubnets({ subnetGroupName: 'server' }).subnetIds,
      SecurityGroup: group.securityGroupId,
    },
  })
  const resource = migration.node.defaultChild as CfnResource
  resource.addPropertyOverride('ServiceTimeout', 15 * 60)
  migration.node.addDependency(database.instance, role)
  service.node.addDependency(migration)
  return runner
}

function addRole(
  stack: Stack,
  { cluster, task }: Pick<ServerService, 'cluster' | 'task' | 'service'>,
) {
  const role = new iam.Role(stack, 'MigrationRole', {
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
  })
  const inCluster = { ArnEquals: { 'ecs:cluster': cluster.clusterArn } }
  const tasks = `arn:${stack.partition}:ecs:${stack.region}:${stack.account}:task/${cluster.clusterName}/*`
  role.addToPolicy(
    new iam.PolicyStatement({
      sid: 'RunMigration',
      actions: ['ecs:RunTask'],
      resources: [task.taskDefinitionArn],
      conditions: inCluster,
    }),
  )
  role.addToPolicy(
    new iam.PolicyStatement({
      sid: 'WatchMigration',
      actions: ['ecs:DescribeTasks'],
      resources: [tasks],
      conditions: inCluster,
    }),
  )
  role.addToPolicy(
    new iam.PolicyStatement({
      sid: 'PassRoles',
      actions: ['iam:PassRole'],
      resources: [task.taskRole.roleArn, task.obtainExecutionRole().roleArn],
      conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
    }),
  )
  accept(
    role,
    `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:task/<${stack.getLogicalId(cluster.node.defaultChild as ecs.CfnCluster)}>/*]`,
    'A task has a name only once it runs; the cluster is named.',
  )
  return role
}
