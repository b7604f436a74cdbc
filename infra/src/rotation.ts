import { RemovalPolicy, type Stack } from 'aws-cdk-lib'
import type * as ecs from 'aws-cdk-lib/aws-ecs'
import * as events from 'aws-cdk-lib/aws-events'
import * as targets from 'aws-cdk-lib/aws-events-targets'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as logs from 'aws-cdk-lib/aws-logs'
import * as sfn from 'aws-cdk-lib/aws-stepfunctions'
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks'
import { accept } from './accepted-findings.ts'
import { uniqueSuffix } from './deployment.ts'

/** The event that Secrets Manager writes to CloudTrail when a secret has its new value. */
export function rotationPattern(secretArn: string): events.EventPattern {
  return {
    source: ['aws.secretsmanager'],
    detailType: ['AWS Service Event via CloudTrail', 'AWS API Call via CloudTrail'],
    detail: {
      eventName: ['RotationSucceeded'],
      additionalEventData: { SecretId: [secretArn] },
    },
  }
}

/**
 * Starts the tasks anew when the password of the database was rotated: they are given it when they
 * start. The old ones go when the new ones are healthy.
 */
export function restartOnRotation(
  stack: Stack,
  service: ecs.FargateService,
  secretArn: string,
  key: kms.IKey,
): void {
  const logGroup = new logs.LogGroup(stack, 'RotationLogs', {
    logGroupName: `/aws/vendedlogs/states/millrace-${uniqueSuffix(stack)}`,
    retention: logs.RetentionDays.THREE_MONTHS,
    encryptionKey: key,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  const restart = new tasks.CallAwsService(stack, 'RestartServer', {
    service: 'ecs',
    action: 'updateService',
    parameters: {
      Cluster: service.cluster.clusterArn,
      Service: service.serviceName,
      ForceNewDeployment: true,
    },
    iamAction: 'ecs:UpdateService',
    iamResources: [service.serviceArn],
  })
  const machine = new sfn.StateMachine(stack, 'RotationRestart', {
    definitionBody: sfn.DefinitionBody.fromChainable(restart),
    tracingEnabled: true,
    logs: { destination: logGroup, level: sfn.LogLevel.ALL },
  })
  accept(
    machine.role,
    'AwsSolutions-IAM5[Resource::*]',
    'Delivery of logs and traces names no resource at AWS.',
  )
  const role = new iam.Role(stack, 'RotationEventRole', {
    assumedBy: new iam.ServicePrincipal('events.amazonaws.com'),
  })
  new events.Rule(stack, 'PasswordRotated', {
    description: 'The database has another password',
    eventPattern: rotationPattern(secretArn),
    targets: [new targets.SfnStateMachine(machine, { role })],
  })
}
