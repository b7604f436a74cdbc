import { type Command, Option } from 'commander'
import { type Architecture, IMAGES, type ImageName } from './images-definition.ts'
import { addImagesEnter } from './images-enter.ts'
import { addImagesPush } from './images-push.ts'
import { addImagesRun } from './images-run.ts'

const MIB = 1024 * 1024

/** Adds `images` and its commands. */
export function addImagesCommands(program: Command): void {
  const images = program
    .command('images')
    .description('Build, push and try container images; no container engine is needed.')
    .helpOption('--help')
  addImagesBuild(images)
  addImagesPush(images)
  addImagesRun(images)
  addImagesEnter(images)
}

interface BuildFlags {
  output: string
  tag: string
  platform: Architecture[]
  code?: string
}

function addImagesBuild(images: Command): void {
  images
    .command('build')
    .argument('<image>', IMAGES.join(', '))
    .helpOption('--help')
    .description('Build an image from this checkout as an OCI layout with a bill of materials.')
    .requiredOption('-o, --output <dir>', 'the OCI layout to make')
    .option('-t, --tag <tag>', 'the name in the layout', 'latest')
    .option('--code <dir>', 'files for /opt/program, in a layer of their own on top')
    .addOption(
      new Option('--platform <architectures...>', 'instead of all')
        .choices(['amd64', 'arm64'])
        .default([], 'all'),
    )
    .action(async (name: string, flags: BuildFlags) => {
      const known = IMAGES.find((image) => image === name)
      if (!known) throw new Error(`There is no image '${name}': there are ${IMAGES.join(', ')}.`)
      await build(known, flags)
    })
}

async function build(name: ImageName, { output, tag, platform, code }: BuildFlags): Promise<void> {
  const { buildImage } = await import('./images-build.ts')
  const architectures = platform.length > 0 ? platform : undefined
  const { digest, sizes } = await buildImage({ name, output, tag, architectures, code })
  for (const { architecture, bytes } of sizes) {
    process.stdout.write(`linux/${architecture}: ${(bytes / MIB).toFixed(1)} MiB compressed\n`)
  }
  process.stdout.write(`${output} holds ${name}:${tag} as ${digest}\n`)
}
