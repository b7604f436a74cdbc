import type { AccessScope, AccessStatement } from './access-policies.ts'

type Conditions = NonNullable<AccessStatement['Condition']>

/**
 * What CloudFormation does as the role PROJECT-deploy with what has a name of its own: roles, buckets,
 * the database, the service, keys, logs. It was read out of the templates and of what the service
 * authorisation reference says of their resources; nothing was deployed with it.
 */
export function cloudformationPolicy(scope: AccessScope): AccessStatement[] {
  const { partition, region, account, project } = scope
  const arn = (service: string, rest: string) =>
    `arn:${partition}:${service}:${region}:${account}:${rest}`
  const global = (rest: string) => `arn:${partition}:iam::${account}:${rest}`
  const own = `${project}*`
  return [
    allow('Roles', 'iam', ROLES, [global(`role/${own}`), global(`instance-profile/${own}`)]),
    allow('PassRole', 'iam', ['PassRole'], [global(`role/${own}`)], {
      StringEquals: { 'iam:PassedToService': SERVICES.map((name) => `${name}.amazonaws.com`) },
    }),
    allow('ServiceRoles', 'iam', ['CreateServiceLinkedRole'], [global('role/aws-service-role/*')]),
    allow('Buckets', 's3', BUCKETS, [`arn:${partition}:s3:::${own}`]),
    allow('Database', 'rds', DATABASES, [
      ...['db', 'pg', 'subgrp'].map((kind) => arn('rds', `${kind}:${own}`)),
    ]),
    allow(
      'Secret',
      'secretsmanager',
      ['CreateSecret', 'TagResource', 'DescribeSecret'],
      [arn('secretsmanager', 'secret:rds!*')],
    ),
    allow('Containers', 'ecs', CONTAINERS, [
      ...['cluster', 'service', 'task-definition'].map((kind) => arn('ecs', `${kind}/${own}`)),
    ]),
    allow('Functions', 'lambda', FUNCTIONS, [arn('lambda', `function:${own}`)]),
    allow('Logs', 'logs', LOGS, [arn('logs', '*')]),
    allow('Topics', 'sns', TOPICS, [arn('sns', own)]),
    allow('Alarms', 'cloudwatch', ALARMS, [
      arn('cloudwatch', `alarm:${own}`),
      `arn:${partition}:cloudwatch::${account}:dashboard/*`,
    ]),
    allow('Rules', 'events', RULES, [arn('events', `rule/${own}`)]),
    allow('Keys', 'kms', KEYS, [arn('kms', 'key/*')]),
    allow('MakeKey', 'kms', ['CreateKey'], ['*'], inRegion(region)),
  ]
}

/** The other half: networks, balancers, sign-in and what has no name before it is made. */
export function cloudformationNetworkPolicy({ region }: AccessScope): AccessStatement[] {
  return [
    allow('Network', 'ec2', NETWORK, ['*'], inRegion(region)),
    allow('Balancers', 'elasticloadbalancing', BALANCERS, ['*'], inRegion(region)),
    allow('SignIn', 'cognito-idp', SIGN_IN, ['*'], inRegion(region)),
    allow('Firewall', 'wafv2', FIREWALL, ['*'], inRegion(region)),
    {
      Sid: 'Rest',
      Effect: 'Allow',
      Action: REST,
      Resource: ['*'],
    },
  ]
}

function allow(
  Sid: string,
  service: string,
  actions: readonly string[],
  Resource: string[],
  Condition?: Conditions,
): AccessStatement {
  const Action = actions.map((action) => `${service}:${action}`)
  return { Sid, Effect: 'Allow', Action, Resource, ...(Condition && { Condition }) }
}

function inRegion(region: string): Conditions {
  return { StringEquals: { 'aws:RequestedRegion': region } }
}

const words = (text: string) => text.trim().split(/\s+/)

const SERVICES = words(
  'ecs-tasks ec2 lambda states backup vpc-flow-logs monitoring.rds events ssm cloudtrail',
)
const ROLES = words(`
  CreateRole DeleteRole GetRole UpdateRole UpdateAssumeRolePolicy TagRole UntagRole PutRolePolicy
  DeleteRolePolicy GetRolePolicy AttachRolePolicy DetachRolePolicy ListRolePolicies
  ListAttachedRolePolicies ListInstanceProfilesForRole CreateInstanceProfile DeleteInstanceProfile
  GetInstanceProfile AddRoleToInstanceProfile RemoveRoleFromInstanceProfile`)
const BUCKETS = words(`
  CreateBucket DeleteBucket ListBucket GetBucketPolicy PutBucketPolicy DeleteBucketPolicy
  PutBucketTagging PutBucketVersioning PutEncryptionConfiguration PutBucketPublicAccessBlock
  PutLifecycleConfiguration PutBucketLogging PutBucketOwnershipControls
  PutBucketObjectLockConfiguration PutBucketNotification`)
const DATABASES = words(`
  CreateDBInstance DeleteDBInstance DescribeDBInstances ModifyDBInstance CreateDBParameterGroup
  DeleteDBParameterGroup DescribeDBParameterGroups ModifyDBParameterGroup DescribeDBParameters
  CreateDBSubnetGroup DeleteDBSubnetGroup DescribeDBSubnetGroups ModifyDBSubnetGroup
  AddTagsToResource RemoveTagsFromResource ListTagsForResource CreateDBSnapshot`)
const CONTAINERS = words(`
  CreateCluster DeleteCluster UpdateCluster DescribeClusters CreateService DeleteService UpdateService
  DescribeServices DescribeServiceDeployments TagResource`)
const FUNCTIONS = words(`
  CreateFunction DeleteFunction GetFunction GetFunctionConfiguration UpdateFunctionCode
  UpdateFunctionConfiguration PutFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig
  DeleteFunctionEventInvokeConfig GetFunctionEventInvokeConfig InvokeFunction TagResource`)
const LOGS = words(`
  CreateLogGroup DeleteLogGroup DescribeLogGroups PutRetentionPolicy AssociateKmsKey TagResource
  ListTagsForResource CreateLogDelivery DeleteLogDelivery GetLogDelivery ListLogDeliveries
  PutResourcePolicy DescribeResourcePolicies`)
const TOPICS = words(
  'CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes Subscribe Unsubscribe TagResource ListSubscriptionsByTopic',
)
const ALARMS = words(
  'PutMetricAlarm DeleteAlarms DescribeAlarms TagResource PutDashboard GetDashboard DeleteDashboards',
)
const RULES = words(
  'PutRule DeleteRule DescribeRule PutTargets RemoveTargets ListTargetsByRule TagResource',
)
const KEYS = words(`
  DescribeKey GetKeyPolicy PutKeyPolicy EnableKeyRotation GetKeyRotationStatus TagResource
  ScheduleKeyDeletion CreateGrant Decrypt GenerateDataKey`)
const NETWORK = words(`
  CreateVpc DeleteVpc DescribeVpcs ModifyVpcAttribute DescribeVpcAttribute CreateSubnet DeleteSubnet
  DescribeSubnets ModifySubnetAttribute CreateRouteTable DeleteRouteTable DescribeRouteTables
  AssociateRouteTable DisassociateRouteTable CreateRoute DeleteRoute CreateInternetGateway
  DeleteInternetGateway DescribeInternetGateways AttachInternetGateway DetachInternetGateway
  AllocateAddress ReleaseAddress DescribeAddresses CreateNatGateway DeleteNatGateway
  DescribeNatGateways CreateSecurityGroup DeleteSecurityGroup DescribeSecurityGroups
  AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress
  RevokeSecurityGroupEgress CreateVpcEndpoint DeleteVpcEndpoints DescribeVpcEndpoints
  ModifyVpcEndpoint CreateVpcEndpointServiceConfiguration DeleteVpcEndpointServiceConfigurations
  DescribeVpcEndpointServiceConfigurations ModifyVpcEndpointServicePermissions
  DescribeVpcEndpointServicePermissions DescribeVpcEndpointServices DescribePrefixLists
  CreateFlowLogs DeleteFlowLogs DescribeFlowLogs RunInstances TerminateInstances DescribeInstances
  ModifyInstanceAttribute CreateVolume DeleteVolume DescribeVolumes AttachVolume DetachVolume
  DescribeAvailabilityZones DescribeNetworkInterfaces DescribeAccountAttributes CreateTags DeleteTags`)
const BALANCERS = words(`
  CreateLoadBalancer DeleteLoadBalancer DescribeLoadBalancers ModifyLoadBalancerAttributes
  DescribeLoadBalancerAttributes SetSecurityGroups SetWebAcl CreateListener DeleteListener
  DescribeListeners ModifyListener CreateRule DeleteRule DescribeRules ModifyRule CreateTargetGroup
  DeleteTargetGroup DescribeTargetGroups ModifyTargetGroupAttributes DescribeTargetHealth
  RegisterTargets CreateTrustStore DeleteTrustStore DescribeTrustStores AddTags`)
const SIGN_IN = words(`
  CreateUserPool DeleteUserPool DescribeUserPool UpdateUserPool SetUserPoolMfaConfig
  CreateUserPoolClient DeleteUserPoolClient DescribeUserPoolClient CreateUserPoolDomain
  DeleteUserPoolDomain DescribeUserPoolDomain CreateResourceServer DeleteResourceServer
  DescribeResourceServer`)
const FIREWALL = words(`
  CreateWebACL DeleteWebACL GetWebACL UpdateWebACL AssociateWebACL DisassociateWebACL
  GetWebACLForResource PutLoggingConfiguration DeleteLoggingConfiguration GetLoggingConfiguration
  TagResource ListTagsForResource`)
const REST = words(`
  application-autoscaling:RegisterScalableTarget application-autoscaling:DeregisterScalableTarget
  application-autoscaling:DescribeScalableTargets application-autoscaling:PutScalingPolicy
  application-autoscaling:DeleteScalingPolicy application-autoscaling:DescribeScalingPolicies
  backup:CreateBackupVault backup:DeleteBackupVault backup:DescribeBackupVault
  backup:CreateBackupPlan backup:DeleteBackupPlan backup:GetBackupPlan backup:CreateBackupSelection
  backup:DeleteBackupSelection backup:GetBackupSelection backup:TagResource
  backup-storage:MountCapsule budgets:ModifyBudget budgets:ViewBudget cloudtrail:CreateTrail
  cloudtrail:DeleteTrail cloudtrail:DescribeTrails cloudtrail:StartLogging
  cloudtrail:PutEventSelectors cloudtrail:AddTags ecs:RegisterTaskDefinition
  ecs:DeregisterTaskDefinition ecs:DescribeTaskDefinition ssm:GetParameters
  ssm:CreateAssociation ssm:DeleteAssociation ssm:DescribeAssociation states:CreateStateMachine
  states:DeleteStateMachine states:DescribeStateMachine states:UpdateStateMachine states:TagResource`)
