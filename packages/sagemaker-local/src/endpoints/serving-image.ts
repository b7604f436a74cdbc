import { invalid } from '@millrace/api/errors'
import type { ImageStore } from '../registry/image-store.ts'
import { frameworkImage } from '../runner/images/framework-images.ts'
import { findImageEntry } from '../runner/images/images-file.ts'
import { findPushed, resolveImage, type WantedPython } from '../runner/images/resolve-image.ts'

/** What answers for a container. */
export type Serving =
  /** A folder with a program `serve`. */
  | { kind: 'program'; directory: string; python: WantedPython | undefined }
  /** An image of the local registry, as its files. */
  | { kind: 'image'; repository: string; reference: string }
  /** The handler functions of a script that comes with the model. */
  | { kind: 'script'; python: WantedPython }
  /** Our scoring server over the model's MLmodel; its own environment unless one is named. */
  | { kind: 'mlflow'; python: WantedPython | undefined }

export interface ServingQuestion {
  image: string | undefined
  imagesFile: string | undefined
  /** The local registry, whose images can be run as well. */
  images: ImageStore
  /** Whether there is an MLmodel among the model's files. */
  hasMlmodel: boolean
  /** Whether the client has sent a script: SAGEMAKER_PROGRAM, or `code/inference.py`. */
  hasScript: boolean
}

/**
 * What to run for an image: what the images file says, a folder (`local:/path`), our scoring server
 * for MLflow's image, an image that was pushed here, our scoring server for any other model with an
 * MLmodel, or a framework image with the client's script.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE with what the choices are
 */
export async function resolveServing(question: ServingQuestion): Promise<Serving> {
  const { image = '', imagesFile, hasMlmodel, hasScript } = question
  const entry = await findImageEntry(imagesFile, image)
  if (entry?.directory !== undefined || image.startsWith('local:')) {
    const program = await resolveImage({
      image,
      hasEntrypoint: false,
      imagesFile,
      program: 'serve',
    })
    if (program.kind === 'directory') return { ...program, kind: 'program' }
  }
  const isMlflow = /(^|\/)mlflow-pyfunc(:|@|$)/.test(image)
  const pushed = entry || isMlflow ? undefined : findPushed(question.images, image)
  if (pushed) return { kind: 'image', ...pushed }
  if (isMlflow || (hasMlmodel && !hasScript)) {
    return { kind: 'mlflow', python: entry && pythonOf(entry) }
  }
  const framework = frameworkImage(image)
  if (entry || framework) {
    return { kind: 'script', python: pythonOf({ ...framework, ...entry }) }
  }
  throw invalid(
    `Nothing is known of the image ${image}, and the model has no MLmodel file. It can be the image of ` +
      'MLflow (mlflow-pyfunc), the image of a framework with an inference script (sagemaker-scikit-learn, ' +
      'sagemaker-xgboost, pytorch-inference), a folder on this machine with an executable ' +
      "'serve' (local:/path/to/folder), have been pushed to the registry here, or be described in the images file " +
      `(${imagesFile ?? 'start with --images FILE'}); docs/sagemaker-local-serving.md says how.`,
  )
}

function pythonOf(source: {
  python?: string | undefined
  packages?: string[] | undefined
  interpreter?: string | undefined
}): WantedPython {
  if (source.interpreter !== undefined) return { kind: 'interpreter', path: source.interpreter }
  return { kind: 'packages', version: source.python, packages: source.packages ?? [] }
}
