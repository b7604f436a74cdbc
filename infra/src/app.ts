import { App, BootstraplessSynthesizer, Stack, Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { checkDeployment, type Deployment } from './deployment.ts'
import { buildService } from './service-stack.ts'
import { buildSingle } from './single-stack.ts'

/**
 * The stack of a profile, checked by cdk-nag when it is made. It has no assets, so that its
 * template is all that a deployment takes: no `cdk bootstrap`, no Docker, no credentials.
 *
 * @param outdir the folder of the template
 * @throws Error with all that is wrong with what was asked for
 */
export function createApp(deployment: Deployment, outdir?: string): { app: App; stack: Stack } {
  checkDeployment(deployment)
  const app = new App({
    analyticsReporting: false,
    treeMetadata: false,
    context: {
      // Buckets take logs by their policy, not by access control lists.
      '@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy': true,
      '@aws-cdk/aws-iam:minimizePolicies': true,
    },
    ...(outdir && { outdir }),
  })
  const stack = new Stack(app, `millrace-${deployment.profile}`, {
    description: `Millrace tracking server, profile ${deployment.profile}, ${deployment.database}`,
    synthesizer: new BootstraplessSynthesizer(),
    terminationProtection: true,
    suppressTemplateIndentation: true,
  })
  if (deployment.profile === 'single') buildSingle(stack, deployment)
  else if (deployment.database !== 'sqlite') {
    buildService(stack, { ...deployment, database: deployment.database })
  }
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }))
  return { app, stack }
}
