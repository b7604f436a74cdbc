import { once } from 'node:events'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { abortOnSignal, wholeNumber } from './models-options.ts'

interface PlaneFlags {
  host: string
  port: number
  dataDir: string
  trackingUri?: string
  images?: string
  jobs: number
  region: string
  accountId: string
  proxyAllow: string[]
  accessKey: { accessKeyId: string; secretAccessKey: string }[]
}

/** Adds `sagemaker-local`, which serves the APIs of SageMaker on this machine. */
export function addSageMakerLocalCommand(program: Command): void {
  program
    .command('sagemaker-local')
    .description('Serve the APIs of SageMaker, S3 and what they need on this machine.')
    .helpOption('--help')
    .allowExcessArguments(false)
    .option('-h, --host <host>', 'address', '127.0.0.1')
    .option('-p, --port <port>', 'port to listen on', wholeNumber(0, 65_535), 5055)
    .addOption(
      new Option('--data-dir <folder>', 'where jobs, objects and images are kept')
        .env('MILLRACE_SAGEMAKER_DATA')
        .default(join(homedir(), '.millrace', 'sagemaker-local')),
    )
    .addOption(
      new Option('--tracking-uri <uri>', 'the MLflow tracking server that jobs are told of').env(
        'MLFLOW_TRACKING_URI',
      ),
    )
    .option('--images <file>', 'a YAML file that says what images stand for')
    .option('--jobs <count>', 'jobs that run at the same time', wholeNumber(1, 64), 2)
    .option('--region <region>', 'the region of requests that name none', region, 'us-east-1')
    .option('--account-id <id>', 'twelve digits', accountId, '123456789012')
    .addOption(
      new Option('--access-key <id:secret>', 'a key that requests must be signed with; repeatable')
        .env('MILLRACE_SAGEMAKER_ACCESS_KEY')
        .argParser(accessKey)
        .default([]),
    )
    .option(
      '--proxy-allow <host>',
      'a host besides those of AWS that `millrace env --proxy` lets through, *.x.org for all below ' +
        'x.org; repeatable',
      host,
      [],
    )
    .action(serve)
}

async function serve(flags: PlaneFlags): Promise<void> {
  const isLoopback = /^(127\.|::1$|localhost$)/.test(flags.host)
  if (!isLoopback && flags.accessKey.length === 0) {
    throw new Error(
      `--host ${flags.host} lets others in, who could run programs here: give --access-key ID:SECRET.`,
    )
  }
  const signal = abortOnSignal()
  const { startPlane } = await import('@millrace/sagemaker-local/plane')
  const plane = await startPlane({
    directory: flags.dataDir,
    host: flags.host,
    port: flags.port,
    region: flags.region,
    accountId: flags.accountId,
    accessKeys: flags.accessKey,
    trackingUri: flags.trackingUri,
    imagesFile: flags.images,
    places: flags.jobs,
    proxyTunnels: flags.proxyAllow,
    environment: process.env,
  })
  process.stdout.write(`SageMaker is at ${plane.url}, its data in ${plane.settings.directory}.\n`)
  process.stdout.write(
    `In another shell: eval "$(millrace env --url ${plane.url})". Ctrl+C stops it; jobs that run ` +
      'go on and are taken up at the next start.\n',
  )
  if (!signal.aborted) await once(signal, 'abort')
  await plane[Symbol.asyncDispose]()
}

function region(text: string): string {
  if (/^[a-z]{2}(-[a-z]+)+-\d$/.test(text)) return text
  throw new InvalidArgumentError('It must be a region of AWS, such as eu-west-1.')
}

function accountId(text: string): string {
  if (/^\d{12}$/.test(text)) return text
  throw new InvalidArgumentError('It must be twelve digits.')
}

function host(text: string, hosts: string[] = []): string[] {
  if (/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(text)) return [...hosts, text]
  throw new InvalidArgumentError('It must be a host, such as example.org or *.example.org.')
}

function accessKey(text: string, keys: PlaneFlags['accessKey'] = []) {
  const [, accessKeyId, secretAccessKey] = /^([\w-]{3,128}):(\S{8,})$/.exec(text) ?? []
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new InvalidArgumentError('It must be ID:SECRET, the secret of at least 8 characters.')
  }
  return [...keys, { accessKeyId, secretAccessKey }]
}
