import { CfnOutput, CfnParameter, Duration, Stack, Tags } from 'aws-cdk-lib'
import * as backup from 'aws-cdk-lib/aws-backup'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import * as targets from 'aws-cdk-lib/aws-elasticloadbalancingv2-targets'
import * as s3 from 'aws-cdk-lib/aws-s3'
import { addAudit } from './audit.ts'
import { addDatabase, type DatabaseServer } from './database.ts'
import { addParameters, type Deployment, type StackParameters } from './deployment.ts'
import { type Address, addAddress, addHttps, addLoadBalancer, addTargets } from './entrance.ts'
import { addFirewall } from './firewall.ts'
import { addJobRole } from './job-role.ts'
import { addMigration } from './migration.ts'
import { addNetwork, NETWORK_RANGE } from './network.ts'
import { restartOnRotation } from './rotation.ts'
import { addServer, SERVER_PORT, type ServerService } from './server-service.ts'
import { addSignIn, allowSignIn } from './sign-in.ts'
import { addArtifactBucket, addKey, addLogBucket } from './storage.ts'
import { addBackups, addWatching, type Watched } from './watching.ts'

/** Where the load balancer of *regulated* says without a certificate whether the server is well. */
const HEALTH_PORT = 8081

type ServiceDeployment = Deployment & { database: 'postgresql' | 'mysql' }

/** The profiles *standard* (seed 004) and *regulated*: tasks behind a load balancer, RDS, S3. */
export function buildService(stack: Stack, deployment: ServiceDeployment): void {
  const isRegulated = deployment.profile === 'regulated'
  const parameters = addParameters(stack)
  Tags.of(stack).add('project', parameters.projectName)
  const address = addAddress(stack)
  const key = addKey(stack)
  const logBucket = addLogBucket(stack)
  const bucket = addArtifactBucket(stack, logBucket, key)
  addAudit(stack, { logs: logBucket, artifacts: bucket, key, isLocked: isRegulated })
  const vpc = addNetwork(stack, deployment.profile, key)
  const group = new ec2.SecurityGroup(stack, 'ServerGroup', {
    vpc,
    description: 'The server, for the load balancer alone',
  })
  const database = addDatabase(stack, deployment, { vpc, from: group, key })
  const { domainName } = address
  const server = addServer(stack, { vpc, group, bucket, database, key, parameters, domainName })
  const migration = addMigration(stack, server, { vpc, group, database, key })
  addJobRole(stack, { parameters, bucket, key })
  restartOnRotation(stack, server.service, database.secretArn, key)

  const balancer = addLoadBalancer(stack, {
    vpc,
    server: group,
    logBucket,
    allowedCidrs: deployment.allowedCidrs,
    subnetGroupName: isRegulated ? 'server' : 'public',
  })
  const tasks = addTargets(stack, vpc, server.service)
  if (isRegulated) admitByCertificate(stack, { vpc, balancer, tasks, address, logBucket })
  else {
    admitBySignIn(stack, { balancer, tasks, address, parameters })
    addFirewall(stack, balancer, key)
  }
  addBackups(stack, [backup.BackupResource.fromRdsDatabaseInstance(database.instance)], key)
  const migrationFailures = migration.metricErrors({ period: Duration.minutes(5) })
  const watched = watchedOf(balancer, tasks, server, database)
  addWatching(stack, parameters, [...watched, migrationAlarm(migrationFailures)], key)
  new CfnOutput(stack, 'Url', { value: `https://${domainName}` })
  new CfnOutput(stack, 'BucketName', { value: bucket.bucketName })
  new CfnOutput(stack, 'DatabaseSecretArn', { value: database.secretArn })
  new CfnOutput(stack, 'LogGroupName', { value: server.logGroup.logGroupName })
}

interface Admission {
  balancer: elb.ApplicationLoadBalancer
  tasks: elb.ApplicationTargetGroup
  address: Address
}

function admitBySignIn(
  stack: Stack,
  { balancer, tasks, address, parameters }: Admission & { parameters: StackParameters },
): void {
  const signIn = addSignIn(stack, parameters, address)
  const defaultAction = signIn.people(elb.ListenerAction.forward([tasks]))
  const listener = addHttps(balancer, address, { defaultAction })
  signIn.addPrograms(listener, tasks)
  allowSignIn(balancer)
}

/**
 * Nothing of the internet comes in, and the load balancer reaches nothing there: who has a
 * certificate of the given authority may come, by PrivateLink or from the network itself.
 */
function admitByCertificate(
  stack: Stack,
  { vpc, balancer, tasks, address, logBucket }: Admission & { vpc: ec2.Vpc; logBucket: s3.Bucket },
): void {
  const bucketName = new CfnParameter(stack, 'AuthorityBucket', {
    description: 'Bucket of the authority that signs the certificates of clients.',
    allowedPattern: '^[a-z0-9.-]{3,63}$',
  })
  const objectKey = new CfnParameter(stack, 'AuthorityKey', {
    description: 'Its object there: certificates in PEM, one after the other.',
    default: 'clients.pem',
  })
  const store = new elb.TrustStore(stack, 'Clients', {
    bucket: s3.Bucket.fromBucketName(stack, 'Authority', bucketName.valueAsString),
    key: objectKey.valueAsString,
  })
  const listener = addHttps(balancer, address, {
    defaultAction: elb.ListenerAction.forward([tasks]),
    mutualAuthentication: {
      mutualAuthenticationMode: elb.MutualAuthenticationMode.VERIFY,
      trustStore: store,
    },
  })
  // The load balancer in front has no certificate to show when it asks whether this one is well.
  const health = balancer.addListener('Health', {
    port: HEALTH_PORT,
    protocol: elb.ApplicationProtocol.HTTP,
    open: false,
    defaultAction: elb.ListenerAction.fixedResponse(404),
  })
  health.addAction('HealthRule', {
    priority: 1,
    conditions: [elb.ListenerCondition.pathPatterns(['/health'])],
    action: elb.ListenerAction.forward([tasks]),
  })
  addPrivateLink(stack, vpc, listener, logBucket, balancer)
}

function addPrivateLink(
  stack: Stack,
  vpc: ec2.Vpc,
  listener: elb.ApplicationListener,
  logBucket: s3.Bucket,
  balancer: elb.ApplicationLoadBalancer,
): void {
  const principals = new CfnParameter(stack, 'AllowedPrincipals', {
    description:
      'ARNs of the accounts or roles that may ask for an endpoint, such as arn:aws:iam::111122223333:root.',
    type: 'CommaDelimitedList',
  })
  const group = new ec2.SecurityGroup(stack, 'LinkGroup', {
    vpc,
    description: 'PrivateLink to the load balancer',
    allowAllOutbound: false,
  })
  group.connections.allowTo(balancer, ec2.Port.tcp(443), 'the load balancer')
  group.connections.allowTo(balancer, ec2.Port.tcp(HEALTH_PORT), 'whether it is well')
  group.addIngressRule(ec2.Peer.ipv4(NETWORK_RANGE), ec2.Port.tcp(443), 'this network')
  const link = new elb.NetworkLoadBalancer(stack, 'Link', {
    vpc,
    internetFacing: false,
    vpcSubnets: { subnetGroupName: 'server' },
    securityGroups: [group],
    deletionProtection: true,
    enforceSecurityGroupInboundRulesOnPrivateLinkTraffic: false,
  })
  link.setAttribute('access_logs.s3.enabled', 'true')
  link.setAttribute('access_logs.s3.bucket', logBucket.bucketName)
  link.setAttribute('access_logs.s3.prefix', 'load-balancer')
  const forward = link.addListener('Forward', { port: 443, protocol: elb.Protocol.TCP })
  forward.addTargets('LoadBalancer', {
    port: 443,
    targets: [new targets.AlbListenerTarget(listener)],
    healthCheck: { protocol: elb.Protocol.HTTP, port: String(HEALTH_PORT), path: '/health' },
  })
  const service = new ec2.VpcEndpointService(stack, 'EndpointService', {
    vpcEndpointServiceLoadBalancers: [link],
    acceptanceRequired: true,
  })
  new ec2.CfnVPCEndpointServicePermissions(stack, 'EndpointServicePermissions', {
    serviceId: service.vpcEndpointServiceId,
    allowedPrincipals: principals.valueAsList,
  })
  new CfnOutput(stack, 'EndpointServiceName', { value: service.vpcEndpointServiceName })
}

function watchedOf(
  balancer: elb.ApplicationLoadBalancer,
  tasks: elb.ApplicationTargetGroup,
  { service }: ServerService,
  { instance }: DatabaseServer,
): Watched[] {
  const period = Duration.minutes(5)
  const answers = elb.HttpCodeTarget.TARGET_5XX_COUNT
  const p95 = balancer.metrics.targetResponseTime({ period, statistic: 'p95' })
  const free = instance.metricFreeStorageSpace({ period })
  return [
    {
      name: 'Errors',
      metric: tasks.metrics.httpCodeTarget(answers, { period }),
      threshold: 10,
      periods: 1,
      description: 'The server failed ten times in five minutes: read its log group.',
    },
    {
      name: 'Latency',
      metric: p95,
      threshold: 2,
      periods: 3,
      description: 'One request of twenty takes two seconds: look at the database first.',
    },
    {
      name: 'Unhealthy',
      metric: tasks.metrics.unhealthyHostCount({ period: Duration.minutes(1) }),
      threshold: 1,
      periods: 5,
      description: `A task does not answer /health on port ${SERVER_PORT}.`,
    },
    {
      name: 'Processor',
      metric: service.metricCpuUtilization({ period }),
      threshold: 90,
      periods: 3,
      description: 'Two tasks are not enough: give the service a higher maximum.',
    },
    {
      name: 'Memory',
      metric: service.metricMemoryUtilization({ period }),
      threshold: 85,
      periods: 3,
      description: 'A task is near its 1 GiB and will be ended by the system beyond.',
    },
    {
      name: 'DatabaseProcessor',
      metric: instance.metricCPUUtilization({ period }),
      threshold: 85,
      periods: 3,
      description: 'The database is busy: take a larger instance.',
    },
    {
      name: 'DatabaseSpace',
      metric: free,
      threshold: 2 * 1024 ** 3,
      periods: 1,
      isBelow: true,
      description: 'The database has less than 2 GiB left and grows by itself only up to 500 GiB.',
    },
    {
      name: 'DatabaseConnections',
      metric: instance.metricDatabaseConnections({ period }),
      threshold: 120,
      periods: 2,
      description: 'More connections than two servers open: something else is using the database.',
    },
  ]
}

function migrationAlarm(metric: Watched['metric']): Watched {
  return {
    name: 'Migration',
    metric,
    threshold: 1,
    periods: 1,
    description: 'millrace db upgrade did not run: the deployment was taken back.',
  }
}
