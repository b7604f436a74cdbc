import { Duration, RemovalPolicy, type Stack } from 'aws-cdk-lib'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as rds from 'aws-cdk-lib/aws-rds'
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager'
import { accept } from './accepted-findings.ts'
import type { Deployment } from './deployment.ts'

/** A database server and how a Millrace reaches it. */
export interface DatabaseServer {
  instance: rds.DatabaseInstance
  /** Has `username` and `password`; RDS makes it and rotates it every week. */
  secret: secretsmanager.ISecret
  secretArn: string
  /** `MILLRACE_DATABASE_*` without the password. */
  environment: Record<string, string>
}

const NAME = 'millrace'
const PORTS = { postgresql: 5432, mysql: 3306 }

/**
 * A database in subnets without a way out: encrypted, TLS only, backed up for 14 days, protected
 * from deletion, with a password that nobody has seen. `from` may connect to it.
 */
export function addDatabase(
  stack: Stack,
  { profile, database }: Deployment & { database: 'postgresql' | 'mysql' },
  { vpc, from, key }: { vpc: ec2.IVpc; from: ec2.ISecurityGroup; key?: kms.IKey },
): DatabaseServer {
  const group = new ec2.SecurityGroup(stack, 'DatabaseGroup', {
    vpc,
    description: 'The database, for the server alone',
    allowAllOutbound: false,
  })
  group.addIngressRule(from, ec2.Port.tcp(PORTS[database]), 'the server')
  const instance = new rds.DatabaseInstance(stack, 'Database', {
    ...engineOf(database),
    vpc,
    vpcSubnets: { subnetGroupName: 'data' },
    securityGroups: [group],
    instanceType: ec2.InstanceType.of(
      ec2.InstanceClass.T4G,
      profile === 'single' ? ec2.InstanceSize.MICRO : ec2.InstanceSize.SMALL,
    ),
    databaseName: NAME,
    credentials: rds.Credentials.fromUsername(NAME),
    manageMasterUserPassword: true,
    multiAz: profile === 'regulated',
    allocatedStorage: 20,
    maxAllocatedStorage: 500,
    storageType: rds.StorageType.GP3,
    storageEncrypted: true,
    ...(key && { storageEncryptionKey: key, performanceInsightEncryptionKey: key }),
    enablePerformanceInsights: profile !== 'single',
    iamAuthentication: true,
    backupRetention: Duration.days(14),
    copyTagsToSnapshot: true,
    deletionProtection: true,
    removalPolicy: RemovalPolicy.SNAPSHOT,
    autoMinorVersionUpgrade: true,
    publiclyAccessible: false,
    cloudwatchLogsExports: database === 'mysql' ? ['error', 'slowquery'] : ['postgresql'],
  })
  acceptFindings(instance, profile === 'regulated')
  const resource = instance.node.defaultChild as rds.CfnDBInstance
  if (key) resource.masterUserSecret = { kmsKeyId: key.keyArn }
  const secretArn = resource.attrMasterUserSecretSecretArn
  return {
    instance,
    secret: secretsmanager.Secret.fromSecretCompleteArn(stack, 'DatabaseSecret', secretArn),
    secretArn,
    environment: {
      MILLRACE_DATABASE_ENGINE: database,
      MILLRACE_DATABASE_HOST: instance.dbInstanceEndpointAddress,
      MILLRACE_DATABASE_PORT: String(PORTS[database]),
      MILLRACE_DATABASE_NAME: NAME,
      MILLRACE_DATABASE_USER: NAME,
      MILLRACE_DATABASE_SSLMODE: 'verify-full',
    },
  }
}

/** The engine, and the parameter that makes it refuse connections without TLS. */
function engineOf(
  database: 'postgresql' | 'mysql',
): Pick<rds.DatabaseInstanceProps, 'engine' | 'parameters'> {
  if (database === 'mysql') {
    const engine = rds.DatabaseInstanceEngine.mysql({ version: rds.MysqlEngineVersion.VER_8_4_9 })
    return { engine, parameters: { require_secure_transport: 'ON' } }
  }
  const version = rds.PostgresEngineVersion.VER_17_9
  const engine = rds.DatabaseInstanceEngine.postgres({ version })
  return { engine, parameters: { 'rds.force_ssl': '1' } }
}

function acceptFindings(instance: rds.DatabaseInstance, hasStandby: boolean): void {
  accept(
    instance,
    'AwsSolutions-RDS11',
    'The port is reached from one security group only; another number would hide it from nobody.',
  )
  if (hasStandby) return
  accept(
    instance,
    'AwsSolutions-RDS3',
    'A standby doubles the price; the profile regulated has one, this one restores from backups.',
  )
}
