import { RemovalPolicy, type Stack } from 'aws-cdk-lib'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as logs from 'aws-cdk-lib/aws-logs'
import type { Profile } from './deployment.ts'

/** Addresses of the network of every stack. */
export const NETWORK_RANGE = '10.0.0.0/20'

/** What tasks without a way to the internet reach at Amazon, besides S3. */
const ENDPOINTS = {
  EcrApi: ec2.InterfaceVpcEndpointAwsService.ECR,
  EcrDocker: ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
  Logs: ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
  Secrets: ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
  Kms: ec2.InterfaceVpcEndpointAwsService.KMS,
  Sts: ec2.InterfaceVpcEndpointAwsService.STS,
}

/**
 * The network of a profile: *single* has public subnets alone, whose instance takes nothing in;
 * *standard* private ones that reach out through one NAT gateway; *regulated* has no gateway to
 * the internet at all and endpoints of the services that it uses.
 */
export function addNetwork(stack: Stack, profile: Profile, key?: kms.IKey): ec2.Vpc {
  const vpc = new ec2.Vpc(stack, 'Network', {
    ipAddresses: ec2.IpAddresses.cidr(NETWORK_RANGE),
    maxAzs: 2,
    natGateways: profile === 'standard' ? 1 : 0,
    restrictDefaultSecurityGroup: false,
    createInternetGateway: profile !== 'regulated',
    subnetConfiguration: subnetsOf(profile),
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
  })
  const flows = new logs.LogGroup(stack, 'FlowLogs', {
    retention: logs.RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.RETAIN,
    ...(key && { encryptionKey: key }),
  })
  vpc.addFlowLog('Flows', { destination: ec2.FlowLogDestination.toCloudWatchLogs(flows) })
  if (profile === 'regulated') addEndpoints(stack, vpc)
  return vpc
}

function subnetsOf(profile: Profile): ec2.SubnetConfiguration[] {
  const isolated = { name: 'data', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 26 }
  if (profile === 'regulated') {
    return [{ ...isolated, name: 'server', cidrMask: 24 }, isolated]
  }
  const open = {
    name: 'public',
    subnetType: ec2.SubnetType.PUBLIC,
    cidrMask: 26,
    mapPublicIpOnLaunch: false,
  }
  if (profile === 'single') return [open, isolated]
  const server = { name: 'server', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 24 }
  return [open, server, isolated]
}

function addEndpoints(stack: Stack, vpc: ec2.Vpc): void {
  const group = new ec2.SecurityGroup(stack, 'EndpointGroup', {
    vpc,
    description: 'Endpoints of AWS services, for what is in this network',
    allowAllOutbound: false,
  })
  group.addIngressRule(ec2.Peer.ipv4(NETWORK_RANGE), ec2.Port.tcp(443), 'this network')
  for (const [name, service] of Object.entries(ENDPOINTS)) {
    vpc.addInterfaceEndpoint(name, {
      service,
      securityGroups: [group],
      open: false,
      subnets: { subnetGroupName: 'server' },
    })
  }
}
