import { open, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import type { ImageStore } from '../../registry/image-store.ts'
import { findImage } from '../../registry/images.ts'
import { findRepository } from '../../registry/repositories.ts'
import { frameworkImage } from './framework-images.ts'
import { findImageEntry } from './images-file.ts'

/** A Python and what is to be installed for it, or an interpreter that has everything. */
export type WantedPython =
  | { kind: 'packages'; version: string | undefined; packages: string[] }
  | { kind: 'interpreter'; path: string }

/** What is run in place of an image. */
export type Program =
  /** A script of the client's, in an environment like that of the framework's image. */
  | { kind: 'script'; python: WantedPython; algorithm?: 'xgboost' }
  /** A folder with a program `train` or `serve`, with the machine's Python unless one is named. */
  | { kind: 'directory'; directory: string; python: WantedPython | undefined }
  /** An image of the local registry, as its files. */
  | { kind: 'image'; repository: string; reference: string }
  /** The command that the client names. */
  | { kind: 'command'; python: WantedPython }

export interface ImageQuestion {
  image: string | undefined
  /** Whether the client names the command to run. */
  hasEntrypoint: boolean
  imagesFile: string | undefined
  /** The local registry, whose images can be run as well. */
  images?: ImageStore
  /** The program that a folder has to have. */
  program: 'train' | 'serve'
}

const ANY_PYTHON: WantedPython = { kind: 'packages', version: undefined, packages: [] }

/**
 * What to run for an image: what the images file says, a framework image of AWS, a folder
 * (`local:/path`), or, when the client names the command, that command with some Python.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE with what the choices are
 */
export async function resolveImage(question: ImageQuestion): Promise<Program> {
  const { image, hasEntrypoint, imagesFile, program } = question
  if (image === undefined || image === '') {
    throw invalid('There is no TrainingImage; algorithms by name are not served here.')
  }
  const entry = await findImageEntry(imagesFile, image)
  const local = entry?.directory ?? /^local:(.+)$/.exec(image)?.[1]
  const framework = frameworkImage(image)
  const pushed = entry ? undefined : findPushed(question.images, image)
  if (pushed) return { kind: 'image', ...pushed }
  const python = entry ? pythonOf(entry) : framework ? pythonOf(framework) : ANY_PYTHON
  if (hasEntrypoint) return { kind: 'command', python }
  if (local !== undefined) {
    await checkProgram(local, program)
    const isNamed = entry?.interpreter ?? entry?.packages ?? entry?.python
    return { kind: 'directory', directory: local, python: isNamed ? python : undefined }
  }
  if (entry || framework) {
    // The image of XGBoost is an algorithm as well, when there is no script.
    const algorithm = framework?.framework === 'xgboost' ? framework.framework : undefined
    return { kind: 'script', python, ...(algorithm ? { algorithm } : {}) }
  }
  throw invalid(
    `Nothing is known of the image ${image}. It can be the image of a framework (sagemaker-scikit-learn, ` +
      `sagemaker-xgboost, pytorch-training), a folder on this machine with an executable '${program}' ` +
      '(local:/path/to/folder), have been pushed to the registry here, or be described in the images file ' +
      `(${imagesFile ?? 'start with --images FILE'}); docs/sagemaker-local.md says how.`,
  )
}

/** The repository and the tag of an image that has been pushed here, by whatever registry's name. */
export function findPushed(images: ImageStore | undefined, image: string) {
  const [, path = '', tag, digest] =
    /^(?:[^/]*[.:][^/]*\/)?([a-z0-9._/-]+?)(?::([\w.-]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(
      image,
    ) ?? []
  if (images === undefined || path === '') return undefined
  const reference = digest ?? tag ?? 'latest'
  const id = digest === undefined ? { tag: reference } : { digest }
  const isThere = findRepository(images, path) && findImage(images, path, id)
  return isThere ? { repository: path, reference } : undefined
}

function pythonOf(source: {
  python?: string | undefined
  packages?: string[] | undefined
  interpreter?: string | undefined
}): WantedPython {
  if (source.interpreter !== undefined) return { kind: 'interpreter', path: source.interpreter }
  return { kind: 'packages', version: source.python, packages: source.packages ?? [] }
}

async function checkProgram(directory: string, program: string): Promise<void> {
  if (!isAbsolute(directory)) {
    throw invalid(
      `The image local:${directory} has to be an absolute path, like local:/path/to/folder.`,
    )
  }
  const file = join(directory, program)
  const found = await stat(file).catch(() => undefined)
  if (!found?.isFile()) {
    throw invalid(`The folder ${directory} has no file '${program}', which is what an image runs.`)
  }
  if ((found.mode & 0o111) === 0) {
    throw invalid(`${file} may not be executed: run "chmod +x ${file}".`)
  }
  await using handle = await open(file)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0)
  const firstLine = buffer.toString('latin1', 0, bytesRead).split('\n')[0] ?? ''
  if (!firstLine.startsWith('#!')) {
    if (BINARIES.has(buffer.toString('hex', 0, 4))) return
    throw invalid(
      `${file} is neither a program of this machine nor a script whose first line names its interpreter: ` +
        'begin it with "#!/bin/sh" or "#!/usr/bin/env python3".',
    )
  }
  if (firstLine.endsWith('\r')) {
    throw invalid(
      `${file} has the line ends of Windows, so that its first line names no program that there is: ` +
        'save it with LF line ends (dos2unix, or sed -i "s/\\r$//").',
    )
  }
  const interpreter = firstLine.slice(2).trim().split(/\s+/)[0] ?? ''
  const isThere = await stat(interpreter).then(
    (found) => found.isFile(),
    () => false,
  )
  if (isThere && isAbsolute(interpreter)) return
  throw invalid(
    `The first line of ${file} names the interpreter '${interpreter}', which this machine does not have.`,
  )
}

/** The first bytes of programs: ELF, and Mach-O for one architecture or several. */
const BINARIES = new Set(['7f454c46', 'cffaedfe', 'cafebabe'])
