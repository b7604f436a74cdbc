import { type Command, Option } from 'commander'

export interface PushFlags {
  username?: string
  password?: string
  alsoTag: string[]
  mountFrom?: string
  plainHttp?: true
}

const MIB = 1024 * 1024

/** Adds `images push`. */
export function addImagesPush(images: Command): void {
  const collect = (value: string, before: string[]) => [...before, value]
  images
    .command('push <layout> <reference>')
    .helpOption('--help')
    .description(
      'Push the image of an OCI layout to HOST/REPOSITORY:TAG: only what the registry lacks, each ' +
        'layer from where a broken connection left it, the tag last. In Amazon ECR the repository ' +
        'is made when it is missing, and the login is that of the AWS credentials.',
    )
    .addOption(new Option('--username <name>', 'login').env('MILLRACE_REGISTRY_USERNAME'))
    .addOption(
      new Option('--password <password>', 'better given in the environment')
        .env('MILLRACE_REGISTRY_PASSWORD')
        .hideHelp(),
    )
    .option('--also-tag <tag>', 'another name; may be given again', collect, [])
    .option('--mount-from <repository>', 'a repository there that has some of the layers')
    .option('--plain-http', 'without TLS; the default for localhost')
    .action(async (layout: string, reference: string, flags: PushFlags) => {
      const digest = await push(layout, reference, flags)
      process.stdout.write(`${reference} is ${digest}\n`)
    })
}

/** Pushes and gives the digest of the image. */
export async function push(layout: string, target: string, flags: PushFlags): Promise<string> {
  const { parseImageReference } = await import('@millrace/sagemaker/images/image-reference')
  const { pushImage } = await import('@millrace/sagemaker/images/push-image')
  const { createRegistryClient } = await import('@millrace/sagemaker/images/registry-client')
  const { registry, repository, reference } = parseImageReference(target)
  if (reference.startsWith('sha256:')) {
    throw new Error(`An image is pushed to a tag, and '${target}' names a digest.`)
  }
  const access = await accessTo(registry, repository, flags)
  return pushImage(createRegistryClient(access), {
    layout,
    repository,
    tags: [reference, ...flags.alsoTag],
    mountFrom: flags.mountFrom,
    deleteTag: access.deleteTag,
    onBlob: ({ digest, size }, outcome) => {
      const short = digest.slice(0, 'sha256:'.length + 12)
      process.stderr.write(`${short} ${(size / MIB).toFixed(1)} MiB ${outcome}\n`)
    },
  })
}

async function accessTo(registry: string, repository: string, flags: PushFlags) {
  const { deleteEcrTag, openEcrRepository, parseEcrRegistry } = await import(
    '@millrace/sagemaker/images/ecr-repository'
  )
  const ecr = parseEcrRegistry(registry)
  if (ecr) {
    const deleteTag = (_call: unknown, name: string, tag: string) => deleteEcrTag(ecr, name, tag)
    return { ...(await openEcrRepository(ecr, repository)), deleteTag }
  }
  const isLocal = /^(localhost|127(\.\d+){3})(:\d+)?$/.test(registry)
  const url = `${flags.plainHttp || isLocal ? 'http' : 'https'}://${registry}`
  const { username, password } = flags
  if (username !== undefined && password === undefined) {
    throw new Error('The password is missing: set MILLRACE_REGISTRY_PASSWORD.')
  }
  const login = username !== undefined && password !== undefined && { username, password }
  return { url, deleteTag: undefined, ...(login && { login }) }
}
