import type { DeploymentConfig } from '@millrace/sagemaker/deployments/deployment-config'
import type { ContextOptions } from '@millrace/sagemaker/deployments/deployment-context'
import { type Command, Option } from 'commander'
import { trackingOf } from './models-options.ts'

/** The flags that all commands about deployments have, named as in `mlflow deployments`. */
export interface TargetFlags {
  target: string
  endpoint?: string
}

/** Those of the commands that name a deployment and may set something. */
export interface NamedFlags extends TargetFlags {
  name: string
  config: string[]
}

/** Adds the target. */
export function addTarget(command: Command): Command {
  return command
    .helpOption('--help')
    .allowExcessArguments(false)
    .addOption(
      new Option('-t, --target <uri>', 'sagemaker, sagemaker:/REGION or sagemaker:/REGION/ROLE_ARN')
        .env('MLFLOW_DEPLOYMENTS_TARGET')
        .makeOptionMandatory(),
    )
    .addOption(new Option('--endpoint <name>').hideHelp())
}

/** Adds the target, the name and the settings. */
export function addNamed(command: Command): Command {
  return addTarget(command)
    .requiredOption('--name <name>', 'name of the deployment, which is its endpoint')
    .option(
      '-C, --config <key=value>',
      'a setting, see `millrace deployments help -t sagemaker`; repeatable',
      (pair: string, before: string[]) => [...before, pair],
      [],
    )
}

/** Adds the model and its flavour. */
export function addModel(command: Command): Command {
  return command
    .requiredOption(
      '-m, --model-uri <uri>',
      'models:/name/version, models:/name@alias, runs:/id/path, s3://bucket/path or a directory; ' +
        'MLFLOW_TRACKING_URI names the server',
    )
    .option('-f, --flavor <name>', 'python_function, which is what SageMaker can serve')
}

/** The settings that the flags say, and how to get at AWS with them. */
export async function settingsOf(
  flags: TargetFlags & { config?: string[] },
): Promise<{ config: DeploymentConfig; context: ContextOptions }> {
  if (flags.endpoint !== undefined) {
    throw new Error(
      '--endpoint is not for SageMaker, where the deployment is the endpoint: use --name.',
    )
  }
  const [{ parseTarget }, { parseDeploymentConfig }] = await Promise.all([
    import('@millrace/sagemaker/deployments/deployment-target'),
    import('@millrace/sagemaker/deployments/deployment-config'),
  ])
  const config = parseDeploymentConfig(flags.config ?? [], parseTarget(flags.target))
  return { config, context: await contextOf(config.region_name, config.assume_role_arn) }
}

/** How to get at AWS in a region, as a role, and at the tracking server of the environment. */
export async function contextOf(
  region: string | undefined,
  assumeRoleArn?: string,
): Promise<ContextOptions> {
  const { MLFLOW_VERSION } = await import('@millrace/server/service')
  return {
    region,
    assumeRoleArn,
    tracking: trackingOf(process.env),
    mlflowVersion: MLFLOW_VERSION,
    environment: process.env,
    report: (line) => process.stderr.write(`${line}\n`),
  }
}
