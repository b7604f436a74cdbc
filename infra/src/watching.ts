import { RemovalPolicy, type Stack } from 'aws-cdk-lib'
import * as backup from 'aws-cdk-lib/aws-backup'
import * as budgets from 'aws-cdk-lib/aws-budgets'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as kms from 'aws-cdk-lib/aws-kms'
import * as sns from 'aws-cdk-lib/aws-sns'
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions'
import { accept } from './accepted-findings.ts'
import { type StackParameters, uniqueSuffix } from './deployment.ts'

/** A figure, from where on it is an alarm, and what to do then. */
export interface Watched {
  name: string
  metric: cloudwatch.IMetric
  threshold: number
  /** Of this many periods in a row. */
  periods: number
  isBelow?: boolean
  /** When nothing is measured; by default nothing is wrong then. */
  isAlarmWhenMissing?: boolean
  description: string
}

/** Alarms by mail, a dashboard of the same figures, and a budget. */
export function addWatching(
  stack: Stack,
  { projectName, alarmEmail, monthlyBudget }: StackParameters,
  watched: Watched[],
  key: kms.IKey | undefined,
): void {
  const topic = new sns.Topic(stack, 'Alarms', {
    masterKey: key ?? kms.Alias.fromAliasName(stack, 'SnsKey', 'alias/aws/sns'),
    enforceSSL: true,
  })
  topic.addSubscription(new subscriptions.EmailSubscription(alarmEmail))
  const dashboard = new cloudwatch.Dashboard(stack, 'Dashboard')
  for (const { name, metric, threshold, periods, description, ...rest } of watched) {
    const alarm = new cloudwatch.Alarm(stack, `${name}Alarm`, {
      metric,
      threshold,
      evaluationPeriods: periods,
      alarmDescription: description,
      comparisonOperator: rest.isBelow
        ? cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
        : cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: rest.isAlarmWhenMissing
        ? cloudwatch.TreatMissingData.BREACHING
        : cloudwatch.TreatMissingData.NOT_BREACHING,
    })
    alarm.addAlarmAction(new actions.SnsAction(topic))
    alarm.addOkAction(new actions.SnsAction(topic))
    dashboard.addWidgets(new cloudwatch.AlarmWidget({ title: name, alarm, width: 8 }))
  }
  addBudget(stack, projectName, alarmEmail, monthlyBudget)
}

/** @param limit US dollars a month; a mail comes at 80 % spent and when 100 % are foreseen */
function addBudget(stack: Stack, projectName: string, email: string, limit: number): void {
  const subscribers = [{ subscriptionType: 'EMAIL', address: email }]
  const above = { comparisonOperator: 'GREATER_THAN', thresholdType: 'PERCENTAGE' }
  new budgets.CfnBudget(stack, 'Budget', {
    budget: {
      budgetType: 'COST',
      timeUnit: 'MONTHLY',
      budgetLimit: { amount: limit, unit: 'USD' },
      costFilters: { TagKeyValue: [`user:project$${projectName}`] },
    },
    notificationsWithSubscribers: [
      { notification: { ...above, notificationType: 'ACTUAL', threshold: 80 }, subscribers },
      { notification: { ...above, notificationType: 'FORECASTED', threshold: 100 }, subscribers },
    ],
  })
}

/** A copy every day, kept for 35 days in a vault that stays when the stack goes. */
export function addBackups(
  stack: Stack,
  resources: backup.BackupResource[],
  key: kms.IKey | undefined,
): void {
  const plan = backup.BackupPlan.daily35DayRetention(
    stack,
    'Backups',
    new backup.BackupVault(stack, 'Vault', {
      backupVaultName: `millrace-${uniqueSuffix(stack)}`,
      removalPolicy: RemovalPolicy.RETAIN,
      ...(key && { encryptionKey: key }),
    }),
  )
  const role = new iam.Role(stack, 'BackupRole', {
    assumedBy: new iam.ServicePrincipal('backup.amazonaws.com'),
  })
  const selection = plan.addSelection('Data', { resources, role, allowRestores: true })
  for (const policy of ['Backup', 'Restores']) {
    accept(
      role,
      `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSBackupServiceRolePolicyFor${policy}]`,
      'What AWS Backup may do to copy and restore is kept up to date by AWS alone.',
    )
  }
  plan.node.addDependency(selection.grantPrincipal)
}
