import { RemovalPolicy, type Stack } from 'aws-cdk-lib'
import type * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as logs from 'aws-cdk-lib/aws-logs'
import * as wafv2 from 'aws-cdk-lib/aws-wafv2'
import { uniqueSuffix } from './deployment.ts'

/** Requests of one address in five minutes; a client that logs in batches makes some hundreds. */
const RATE = 20_000

/** Rules that look into bodies, which here are files and numbers of whoever logs them. */
const BODY_RULES = [
  'SizeRestrictions_BODY',
  'CrossSiteScripting_BODY',
  'GenericLFI_BODY',
  'GenericRFI_BODY',
]

/** Amazon's rules about known attacks and addresses, and a limit to how often one address asks. */
export function addFirewall(
  stack: Stack,
  balancer: elb.ApplicationLoadBalancer,
  key: kms.IKey,
): void {
  const visible = (metricName: string) => ({
    cloudWatchMetricsEnabled: true,
    sampledRequestsEnabled: true,
    metricName,
  })
  const managed = (name: string, priority: number, counted: string[] = []) => ({
    name,
    priority,
    overrideAction: { none: {} },
    visibilityConfig: visible(name),
    statement: {
      managedRuleGroupStatement: {
        vendorName: 'AWS',
        name,
        ruleActionOverrides: counted.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
      },
    },
  })
  const acl = new wafv2.CfnWebACL(stack, 'Firewall', {
    scope: 'REGIONAL',
    defaultAction: { allow: {} },
    visibilityConfig: visible('Firewall'),
    rules: [
      managed('AWSManagedRulesAmazonIpReputationList', 1),
      managed('AWSManagedRulesKnownBadInputsRuleSet', 2),
      managed('AWSManagedRulesCommonRuleSet', 3, BODY_RULES),
      {
        name: 'Rate',
        priority: 4,
        action: { block: { customResponse: { responseCode: 429 } } },
        visibilityConfig: visible('Rate'),
        statement: { rateBasedStatement: { limit: RATE, aggregateKeyType: 'IP' } },
      },
    ],
  })
  new wafv2.CfnWebACLAssociation(stack, 'FirewallAssociation', {
    resourceArn: balancer.loadBalancerArn,
    webAclArn: acl.attrArn,
  })
  const logGroup = new logs.LogGroup(stack, 'FirewallLogs', {
    logGroupName: `aws-waf-logs-${uniqueSuffix(stack)}`,
    retention: logs.RetentionDays.THREE_MONTHS,
    encryptionKey: key,
    removalPolicy: RemovalPolicy.RETAIN,
  })
  new wafv2.CfnLoggingConfiguration(stack, 'FirewallLogging', {
    resourceArn: acl.attrArn,
    logDestinationConfigs: [logGroup.logGroupArn],
    redactedFields: [
      { singleHeader: { Name: 'authorization' } },
      { singleHeader: { Name: 'cookie' } },
    ],
  })
}
