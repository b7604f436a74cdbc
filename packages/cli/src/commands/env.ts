import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { cacheDirectory } from '@millrace/scoring/python-environment'
import type { Command } from 'commander'
import { z } from 'zod'

interface EnvFlags {
  url: string
  region?: string
  trackingUri?: string
  notebook?: true
  proxy?: true
}

const METADATA_FOLDER = '/opt/ml/metadata'
const ANSWER_MS = 3_000

const About = z.object({
  region: z.string(),
  accountId: z.string(),
  roleName: z.string(),
  trackingUri: z.string().optional(),
  needsKeys: z.boolean(),
})

/** Adds `env`, which prints the variables that lead the SDKs of AWS to a local control plane. */
export function addEnvCommand(program: Command): void {
  program
    .command('env')
    .description('Print the exports for a shell in which the SDKs of AWS use this machine.')
    .helpOption('--help')
    .allowExcessArguments(false)
    .option('--url <url>', 'where the control plane answers', 'http://127.0.0.1:5055')
    .option('--region <region>', "another region than the control plane's own")
    .option('--tracking-uri <uri>', 'another MLflow tracking server than the one jobs are told of')
    .option('--notebook', `write ${METADATA_FOLDER}, where get_execution_role() looks first`)
    .option('--proxy', 'lead requests to the hosts of AWS here too, whatever names them')
    .action(printEnvironment)
}

async function printEnvironment(flags: EnvFlags): Promise<void> {
  const url = flags.url.replace(/\/+$/, '')
  const about = await ask(url)
  const region = flags.region ?? about.region
  const folder = join(cacheDirectory(process.env), 'sagemaker-local')
  const config = join(folder, `config-${about.accountId}-${region}.yaml`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(config, sdkConfig(region, about.accountId))
  const roleArn = `arn:aws:iam::${about.accountId}:role/${about.roleName}`
  if (flags.notebook) writeNotebookMetadata(roleArn, region)
  const tracking = flags.trackingUri ?? about.trackingUri
  const exports: Record<string, string> = {
    AWS_ENDPOINT_URL: url,
    ...(about.needsKeys
      ? {}
      : { AWS_ACCESS_KEY_ID: 'millrace', AWS_SECRET_ACCESS_KEY: 'millrace' }),
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_EC2_METADATA_DISABLED: 'true',
    SAGEMAKER_USER_CONFIG_OVERRIDE: config,
    ...(tracking === undefined ? {} : { MLFLOW_TRACKING_URI: tracking }),
    ...(flags.proxy ? await proxyVariables(url, folder) : {}),
  }
  const lines = Object.entries(exports).map(([name, value]) => `export ${name}=${quoted(value)}\n`)
  if (!about.needsKeys) lines.unshift('unset AWS_PROFILE AWS_SESSION_TOKEN\n')
  process.stdout.write(lines.join(''))
  if (about.needsKeys) {
    process.stderr.write(
      'millrace: This control plane checks keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to one of them.\n',
    )
  }
}

/**
 * What makes clients take the control plane for the hosts of AWS: it is their proxy, and they trust
 * its authority besides those that they trust anyway.
 */
async function proxyVariables(url: string, folder: string): Promise<Record<string, string>> {
  const answer = await fetch(`${url}/.millrace/authority.pem`, {
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  if (!answer.ok) throw new Error(`The control plane at ${url} has no proxy (${answer.status}).`)
  const own = await answer.text()
  const authority = join(folder, `authority-${new URL(url).host.replace(/\W/g, '-')}.pem`)
  const bundle = authority.replace(/\.pem$/, '-and-others.pem')
  writeFileSync(authority, own)
  writeFileSync(bundle, [...rootCertificates, own].join('\n'))
  const before = (process.env['NO_PROXY'] ?? process.env['no_proxy'] ?? '').split(',')
  const direct = [...new Set(['127.0.0.1', 'localhost', '::1', ...before.filter(Boolean)])]
  return {
    HTTPS_PROXY: url,
    https_proxy: url,
    NO_PROXY: direct.join(','),
    no_proxy: direct.join(','),
    AWS_CA_BUNDLE: bundle,
    REQUESTS_CA_BUNDLE: bundle,
    NODE_EXTRA_CA_CERTS: authority,
  }
}

async function ask(url: string): Promise<z.infer<typeof About>> {
  try {
    const answer = await fetch(`${url}/.millrace/about`, { signal: AbortSignal.timeout(ANSWER_MS) })
    return About.parse(await answer.json())
  } catch (cause) {
    throw new Error(
      `No control plane answers at ${url}: start one with \`millrace sagemaker-local\`.`,
      {
        cause,
      },
    )
  }
}

/** What keeps the SageMaker SDK from asking AWS itself who the caller is, and from reporting to it. */
function sdkConfig(region: string, accountId: string): string {
  return `SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      Session:
        DefaultS3Bucket: sagemaker-${region}-${accountId}
      TelemetryOptOut: true
`
}

function writeNotebookMetadata(roleArn: string, region: string): void {
  const metadata = {
    ResourceArn: `arn:aws:sagemaker:${region}:${roleArn.split(':')[4]}:notebook-instance/millrace`,
    ResourceName: 'millrace',
    ExecutionRoleArn: roleArn,
  }
  mkdirSync(METADATA_FOLDER, { recursive: true })
  writeFileSync(join(METADATA_FOLDER, 'resource-metadata.json'), JSON.stringify(metadata))
}

/** A value as a POSIX shell takes it whatever is in it. */
function quoted(value: string): string {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`
}
