import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

const octal = z.string().transform((text) => Number.parseInt(text, 8))

const ImageDefinition = z.strictObject({
  name: z.string(),
  description: z.string(),
  architectures: z.array(z.enum(['amd64', 'arm64'])).min(1),
  debian: z.strictObject({
    packages: z.array(z.string()),
    /** Whether what these packages depend on comes along, or they alone. */
    withDependencies: z.boolean(),
  }),
  /** Python distributions that are installed beside the interpreter, with what they need. */
  python: z.array(z.string()).default([]),
  directories: z.array(z.strictObject({ path: z.string(), mode: octal, user: z.int() })),
  /** Files beside the definition. */
  files: z.array(z.strictObject({ path: z.string(), from: z.string(), mode: octal })),
  user: z.int(),
  workingDirectory: z.string(),
  environment: z.record(z.string(), z.string()),
  entrypoint: z.array(z.string()),
  command: z.array(z.string()),
  ports: z.array(z.int()),
  volumes: z.array(z.string()),
  labels: z.record(z.string(), z.string()).default({}),
  healthCheck: z
    .strictObject({
      command: z.array(z.string()),
      intervalSeconds: z.int(),
      timeoutSeconds: z.int(),
      startSeconds: z.int(),
    })
    .optional(),
})

/** What `images/<name>/image.json` says. */
export type ImageDefinition = z.output<typeof ImageDefinition>

/** The images that there are definitions of. */
export const IMAGES = ['tracker', 'training', 'serving'] as const
export type ImageName = (typeof IMAGES)[number]

export type Architecture = ImageDefinition['architectures'][number]

/** The folder of the checkout that this program runs from. */
export const checkout = fileURLToPath(new URL('../../../..', import.meta.url))

/**
 * The definition of an image and the folder that its files are in.
 *
 * @throws Error when this is no checkout: images are built from the sources
 */
export function readImageDefinition(name: ImageName): {
  definition: ImageDefinition
  folder: string
} {
  const folder = join(checkout, 'images', name)
  const file = join(folder, 'image.json')
  if (!existsSync(file)) {
    throw new Error(`There is no ${file}: images are built from a checkout of Millrace.`)
  }
  return { definition: ImageDefinition.parse(JSON.parse(readFileSync(file, 'utf8'))), folder }
}
