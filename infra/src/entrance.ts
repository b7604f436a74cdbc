import { CfnOutput, CfnParameter, Duration, type Stack } from 'aws-cdk-lib'
import * as acm from 'aws-cdk-lib/aws-certificatemanager'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import type * as ecs from 'aws-cdk-lib/aws-ecs'
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as s3 from 'aws-cdk-lib/aws-s3'
import { NETWORK_RANGE } from './network.ts'
import { SERVER_PORT } from './server-service.ts'

/** The name that people type and the certificate for it. */
export interface Address {
  domainName: string
  certificate: acm.ICertificate
}

/** Declares the parameters of the address. */
export function addAddress(stack: Stack): Address {
  const domainName = new CfnParameter(stack, 'DomainName', {
    description: 'Name of the server, such as mlflow.example.com; point it at the load balancer.',
    allowedPattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)+$',
  })
  const certificateArn = new CfnParameter(stack, 'CertificateArn', {
    description: 'Certificate for that name in AWS Certificate Manager, in this region.',
    allowedPattern: '^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/[a-f0-9-]+$',
  })
  const arn = certificateArn.valueAsString
  return {
    domainName: domainName.valueAsString,
    certificate: acm.Certificate.fromCertificateArn(stack, 'Certificate', arn),
  }
}

export interface EntranceParts {
  vpc: ec2.IVpc
  /** Of the tasks; the load balancer alone may reach them. */
  server: ec2.SecurityGroup
  logBucket: s3.Bucket
  /** Ranges of the internet that may come; without any, the load balancer is an internal one. */
  allowedCidrs: string[]
  subnetGroupName: 'public' | 'server'
}

/** A load balancer that writes down every request and drops malformed ones. It listens to nothing yet. */
export function addLoadBalancer(
  stack: Stack,
  { vpc, server, logBucket, allowedCidrs, subnetGroupName }: EntranceParts,
): elb.ApplicationLoadBalancer {
  const group = new ec2.SecurityGroup(stack, 'LoadBalancerGroup', {
    vpc,
    description: 'HTTPS from those who may come',
    allowAllOutbound: false,
  })
  for (const cidr of allowedCidrs) {
    group.addIngressRule(ec2.Peer.ipv4(cidr), ec2.Port.tcp(443), 'allowed when the stack was made')
  }
  if (allowedCidrs.length === 0) {
    group.addIngressRule(ec2.Peer.ipv4(NETWORK_RANGE), ec2.Port.tcp(443), 'this network')
  }
  group.addEgressRule(server, ec2.Port.tcp(SERVER_PORT), 'the server')
  server.addIngressRule(group, ec2.Port.tcp(SERVER_PORT), 'the load balancer')
  const balancer = new elb.ApplicationLoadBalancer(stack, 'LoadBalancer', {
    vpc,
    internetFacing: allowedCidrs.length > 0,
    vpcSubnets: { subnetGroupName: allowedCidrs.length > 0 ? subnetGroupName : 'server' },
    securityGroup: group,
    deletionProtection: true,
    dropInvalidHeaderFields: true,
    desyncMitigationMode: elb.DesyncMitigationMode.STRICTEST,
    idleTimeout: Duration.minutes(10),
  })
  logRequests(stack, balancer, logBucket)
  new CfnOutput(stack, 'LoadBalancerDNS', { value: balancer.loadBalancerDnsName })
  return balancer
}

function logRequests(stack: Stack, balancer: elb.ApplicationLoadBalancer, bucket: s3.Bucket): void {
  balancer.setAttribute('access_logs.s3.enabled', 'true')
  balancer.setAttribute('access_logs.s3.bucket', bucket.bucketName)
  balancer.setAttribute('access_logs.s3.prefix', 'load-balancer')
  const written = bucket.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [new iam.ServicePrincipal('logdelivery.elasticloadbalancing.amazonaws.com')],
      actions: ['s3:PutObject'],
      resources: [bucket.arnForObjects(`load-balancer/AWSLogs/${stack.account}/*`)],
    }),
  )
  if (written.policyDependable) balancer.node.addDependency(written.policyDependable)
}

/** The tasks behind the load balancer, asked every 15 seconds whether they are well. */
export function addTargets(
  stack: Stack,
  vpc: ec2.IVpc,
  service: ecs.FargateService,
): elb.ApplicationTargetGroup {
  return new elb.ApplicationTargetGroup(stack, 'Tasks', {
    vpc,
    port: SERVER_PORT,
    protocol: elb.ApplicationProtocol.HTTP,
    targets: [service],
    deregistrationDelay: Duration.seconds(60),
    healthCheck: {
      path: '/health',
      interval: Duration.seconds(15),
      healthyThresholdCount: 2,
      unhealthyThresholdCount: 3,
    },
  })
}

/** HTTPS on 443, TLS 1.2 or newer. */
export function addHttps(
  balancer: elb.ApplicationLoadBalancer,
  { certificate }: Address,
  options: Pick<elb.BaseApplicationListenerProps, 'defaultAction' | 'mutualAuthentication'>,
): elb.ApplicationListener {
  return balancer.addListener('Https', {
    port: 443,
    protocol: elb.ApplicationProtocol.HTTPS,
    certificates: [certificate],
    sslPolicy: elb.SslPolicy.TLS13_RES,
    open: false,
    ...options,
  })
}
