import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import type { Architecture } from './images-definition.ts'
import { push } from './images-push.ts'

interface ContainerFlags {
  build: boolean
  push: boolean
  container: string
  tag?: string
  registry?: string
  platform: Architecture
  installJava?: true
  mlflowHome?: string
}

/** Where an image stays between `--no-push` and `--no-build`. */
const KEPT = 'images-built'

/**
 * Adds `sagemaker build-and-push-container` with the flags of MLflow's (3.17
 * `mlflow.sagemaker.cli`), and `sagemaker` too, if nobody has. No Docker is used.
 */
export function addBuildAndPushContainer(program: Command): void {
  const sagemaker =
    program.commands.find((command) => command.name() === 'sagemaker') ??
    program
      .command('sagemaker')
      .description('Train and deploy models on SageMaker.')
      .helpOption('--help')
  sagemaker
    .command('build-and-push-container')
    .helpOption('--help')
    .description(
      'Build the image that serves models on SageMaker and push it to Amazon ECR, to the account ' +
        'and region of the AWS credentials.',
    )
    .option('--build', 'build the image (default)', true)
    .option('--no-build', 'push what an earlier --no-push built')
    .option('--push', 'push the image (default)', true)
    .option('--no-push', 'leave the image in ./images-built')
    .option('-c, --container <name>', 'name of the repository', 'mlflow-pyfunc')
    .option('--tag <tag>', 'default: the MLflow version that this server speaks')
    .option('--registry <host>', 'another registry than Amazon ECR, such as localhost:5001')
    .addOption(
      new Option('--platform <architecture>', 'arm64 for instances with Graviton')
        .choices(['amd64', 'arm64'])
        .default('amd64'),
    )
    .addOption(new Option('--install-java', 'for models of Spark').hideHelp())
    .addOption(
      new Option('--env-manager <how>', 'taken for scripts of MLflow; the image has uv')
        .choices(['local', 'virtualenv', 'uv', 'conda'])
        .default('uv'),
    )
    .addOption(new Option('--mlflow-home <dir>', 'sources of MLflow').hideHelp())
    .action(buildAndPush)
}

async function buildAndPush(flags: ContainerFlags): Promise<void> {
  if (flags.installJava) {
    throw new Error('--install-java is not supported: the image has no Java; build one from it.')
  }
  if (flags.mlflowHome) {
    throw new Error(
      "--mlflow-home is not supported: a model's own requirements say which MLflow it gets.",
    )
  }
  const { MLFLOW_VERSION } = await import('@millrace/server/service')
  const tag = flags.tag ?? MLFLOW_VERSION
  const kept = join(KEPT, flags.container)
  // Asked before the image is built, so that nobody waits to learn that he is not signed in.
  const registry = flags.push ? (flags.registry ?? (await ecrRegistry())) : undefined
  const temporary =
    flags.build && flags.push ? await mkdtemp(join(tmpdir(), 'millrace-image-')) : undefined
  const layout = temporary ? join(temporary, 'layout') : kept
  try {
    if (flags.build) {
      const { buildImage } = await import('./images-build.ts')
      await buildImage({ name: 'serving', output: layout, tag, architectures: [flags.platform] })
      if (!flags.push) process.stdout.write(`${layout} holds ${flags.container}:${tag}\n`)
    }
    if (registry === undefined) return
    const reference = `${registry}/${flags.container}:${tag}`
    const digest = await push(layout, reference, { alsoTag: [] })
    process.stdout.write(`${reference} is ${digest}\n`)
  } finally {
    if (temporary) await rm(temporary, { recursive: true, force: true })
  }
}

/** The registry of the account and region of the credentials. */
async function ecrRegistry(): Promise<string> {
  const { whoCalls } = await import('@millrace/sagemaker/access/simulate-access')
  const { account, region, partition } = await whoCalls()
  return `${account}.dkr.ecr.${region}.amazonaws.com${partition === 'aws-cn' ? '.cn' : ''}`
}
