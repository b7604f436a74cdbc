import { CfnOutput, Duration, RemovalPolicy, Size, type Stack, Tags } from 'aws-cdk-lib'
import * as backup from 'aws-cdk-lib/aws-backup'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as events from 'aws-cdk-lib/aws-events'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as logs from 'aws-cdk-lib/aws-logs'
import type * as s3 from 'aws-cdk-lib/aws-s3'
import * as ssm from 'aws-cdk-lib/aws-ssm'
import { accept } from './accepted-findings.ts'
import { addDatabase, type DatabaseServer } from './database.ts'
import { addParameters, type Deployment, type StackParameters } from './deployment.ts'
import { allowImagePull } from './image-access.ts'
import { DATA_DEVICE, startProgram, updateProgram } from './instance-program.ts'
import { addJobRole } from './job-role.ts'
import { addNetwork } from './network.ts'
import { rotationPattern } from './rotation.ts'
import { addArtifactBucket, addLogBucket, allowArtifacts } from './storage.ts'
import { addBackups, addWatching, type Watched } from './watching.ts'

/**
 * The profile *single* (seeds 000 and 003): one small arm64 instance that listens to itself alone.
 * No port is open and there is no key pair; people come through Session Manager, which knows who
 * they are, with a tunnel to the server's port.
 */
export function buildSingle(stack: Stack, deployment: Deployment): void {
  const parameters = addParameters(stack)
  Tags.of(stack).add('project', parameters.projectName)
  const vpc = addNetwork(stack, 'single')
  const bucket = addArtifactBucket(stack, addLogBucket(stack))
  const group = new ec2.SecurityGroup(stack, 'ServerGroup', {
    vpc,
    description: 'The server; nothing comes in',
  })
  const { database: kind } = deployment
  const database =
    kind === 'sqlite'
      ? undefined
      : addDatabase(stack, { ...deployment, database: kind }, { vpc, from: group })
  const logGroup = new logs.LogGroup(stack, 'ServerLogs', {
    retention: logs.RetentionDays.ONE_YEAR,
    removalPolicy: RemovalPolicy.RETAIN,
  })
  const role = addRole(stack, { parameters, bucket, database, logGroup })
  addJobRole(stack, { parameters, bucket })
  const instance = addInstance(stack, { vpc, group, role })
  const volume = addVolume(stack, instance)
  instance.addUserData(...startProgram(stack.region))
  keepCurrent(stack, instance, { parameters, bucket, database, logGroup })
  if (database) restartOnRotation(stack, instance, database.secretArn)
  const backedUp = [
    backup.BackupResource.fromArn(
      `arn:${stack.partition}:ec2:${stack.region}:${stack.account}:volume/${volume.volumeId}`,
    ),
  ]
  if (database) backedUp.push(backup.BackupResource.fromRdsDatabaseInstance(database.instance))
  addBackups(stack, backedUp, undefined)
  addWatching(stack, parameters, watchedOf(instance, database), undefined)
  addOutputs(stack, instance, bucket, logGroup, database)
}

interface SingleParts {
  parameters: StackParameters
  bucket: s3.Bucket
  database: DatabaseServer | undefined
  logGroup: logs.LogGroup
}

function addRole(stack: Stack, { parameters, bucket, database, logGroup }: SingleParts): iam.Role {
  const role = new iam.Role(stack, 'ServerRole', {
    assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com'),
    managedPolicies: [iam.ManagedPolicy.fromAwsManagedPolicyName('AmazonSSMManagedInstanceCore')],
  })
  accept(
    role,
    'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonSSMManagedInstanceCore]',
    'What the agent of Session Manager needs is kept by AWS alone.',
  )
  allowImagePull(stack, role, parameters.projectName)
  allowArtifacts(stack, role, bucket)
  const statements = [
    {
      sid: 'WriteLogs',
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [logGroup.logGroupArn],
    },
    ...(database
      ? [
          {
            sid: 'DatabasePassword',
            actions: ['secretsmanager:GetSecretValue'],
            resources: [database.secretArn],
          },
        ]
      : []),
  ]
  for (const statement of statements) role.addToPolicy(new iam.PolicyStatement(statement))
  return role
}

function addInstance(
  stack: Stack,
  { vpc, group, role }: { vpc: ec2.IVpc; group: ec2.ISecurityGroup; role: iam.IRole },
): ec2.Instance {
  return new ec2.Instance(stack, 'Server', {
    vpc,
    vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
    associatePublicIpAddress: true,
    instanceType: ec2.InstanceType.of(ec2.InstanceClass.T4G, ec2.InstanceSize.SMALL),
    machineImage: ec2.MachineImage.latestAmazonLinux2023({
      cpuType: ec2.AmazonLinuxCpuType.ARM_64,
      cachedInContext: false,
    }),
    securityGroup: group,
    role,
    httpTokens: ec2.HttpTokens.REQUIRED,
    httpPutResponseHopLimit: 1,
    detailedMonitoring: true,
    disableApiTermination: true,
    blockDevices: [
      {
        deviceName: '/dev/xvda',
        volume: ec2.BlockDeviceVolume.ebs(16, {
          encrypted: true,
          volumeType: ec2.EbsDeviceVolumeType.GP3,
        }),
      },
    ],
    propagateTagsToVolumeOnCreation: true,
  })
}

/** A disk of its own, so that the data stays when the instance is another one. */
function addVolume(stack: Stack, instance: ec2.Instance): ec2.Volume {
  const volume = new ec2.Volume(stack, 'Data', {
    availabilityZone: instance.instanceAvailabilityZone,
    size: Size.gibibytes(20),
    encrypted: true,
    volumeType: ec2.EbsDeviceVolumeType.GP3,
    removalPolicy: RemovalPolicy.SNAPSHOT,
  })
  new ec2.CfnVolumeAttachment(stack, 'DataAttachment', {
    device: DATA_DEVICE,
    instanceId: instance.instanceId,
    volumeId: volume.volumeId,
  })
  return volume
}

/** What runs on the instance each time that the image or a setting of the stack changes. */
function keepCurrent(
  stack: Stack,
  instance: ec2.Instance,
  { parameters, bucket, database, logGroup }: SingleParts,
): void {
  new ssm.CfnAssociation(stack, 'Update', {
    name: 'AWS-RunShellScript',
    associationName: `${parameters.projectName}-update`,
    targets: [{ key: 'InstanceIds', values: [instance.instanceId] }],
    parameters: {
      commands: updateProgram(stack.region, {
        image: parameters.image,
        bucket: bucket.bucketName,
        logGroup: logGroup.logGroupName,
        database: database && {
          environment: database.environment,
          secretArn: database.secretArn,
        },
      }),
    },
  })
}

function restartOnRotation(stack: Stack, instance: ec2.Instance, secretArn: string): void {
  const document = `arn:${stack.partition}:ssm:${stack.region}::document/AWS-RunShellScript`
  const target = `arn:${stack.partition}:ec2:${stack.region}:${stack.account}:instance/${instance.instanceId}`
  const role = new iam.Role(stack, 'RotationRole', {
    assumedBy: new iam.ServicePrincipal('events.amazonaws.com'),
  })
  role.addToPolicy(
    new iam.PolicyStatement({
      sid: 'RestartServer',
      actions: ['ssm:SendCommand'],
      resources: [document, target],
    }),
  )
  new events.CfnRule(stack, 'PasswordRotated', {
    description: 'The database has another password',
    eventPattern: toPattern(rotationPattern(secretArn)),
    targets: [
      {
        id: 'Restart',
        arn: document,
        roleArn: role.roleArn,
        input: JSON.stringify({ commands: ['systemctl restart millrace'] }),
        runCommandParameters: {
          runCommandTargets: [{ key: 'InstanceIds', values: [instance.instanceId] }],
        },
      },
    ],
  })
}

function toPattern({ source, detailType, detail }: events.EventPattern) {
  return { source, 'detail-type': detailType, detail }
}

function watchedOf(instance: ec2.Instance, database: DatabaseServer | undefined): Watched[] {
  const period = Duration.minutes(5)
  const ofInstance = (metricName: string) =>
    new cloudwatch.Metric({
      namespace: 'AWS/EC2',
      metricName,
      period,
      dimensionsMap: { InstanceId: instance.instanceId },
      statistic: metricName === 'CPUUtilization' ? 'Average' : 'Maximum',
    })
  const watched: Watched[] = [
    {
      name: 'Instance',
      metric: ofInstance('StatusCheckFailed'),
      threshold: 1,
      periods: 2,
      isAlarmWhenMissing: true,
      description: 'The instance does not answer: restart it in the console of EC2.',
    },
    {
      name: 'Processor',
      metric: ofInstance('CPUUtilization'),
      threshold: 90,
      periods: 3,
      description: 'One small instance is not enough: take the profile standard.',
    },
  ]
  if (!database) return watched
  return [
    ...watched,
    {
      name: 'DatabaseSpace',
      metric: database.instance.metricFreeStorageSpace({ period }),
      threshold: 2 * 1024 ** 3,
      periods: 1,
      isBelow: true,
      description: 'The database has less than 2 GiB left.',
    },
  ]
}

function addOutputs(
  stack: Stack,
  { instanceId }: ec2.Instance,
  bucket: s3.IBucket,
  logGroup: logs.LogGroup,
  database: DatabaseServer | undefined,
): void {
  new CfnOutput(stack, 'InstanceId', { value: instanceId })
  new CfnOutput(stack, 'Url', {
    value: 'http://localhost:5000',
    description: 'Through the tunnel.',
  })
  new CfnOutput(stack, 'Tunnel', {
    value: `aws ssm start-session --target ${instanceId} --document-name AWS-StartPortForwardingSession --parameters portNumber=5000,localPortNumber=5000`,
  })
  new CfnOutput(stack, 'BucketName', { value: bucket.bucketName })
  new CfnOutput(stack, 'LogGroupName', { value: logGroup.logGroupName })
  if (database) new CfnOutput(stack, 'DatabaseSecretArn', { value: database.secretArn })
}
