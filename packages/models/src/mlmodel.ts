import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid, notFound } from '@millrace/api/errors'
import { findArtifactPath } from '@millrace/artifacts/artifact-path'
import { parse } from 'yaml'
import { z } from 'zod'
import { parseSignature, type Signature } from './signature.ts'

/** The settings of one flavour, as its writer left them. */
export type Flavor = Record<string, unknown>

/** What an MLmodel file says about a model. */
export interface Model {
  /** By name; `python_function` is how any Python model is loaded and asked. */
  flavors: Record<string, Flavor>
  /** Absent for a model that was saved without one. */
  signature?: Signature
  /** The MLflow that saved it; unknown before 1.0. */
  mlflowVersion?: string
  runId?: string
  /** Of a logged model, since 3.0. */
  modelId?: string
  environmentFiles: EnvironmentFiles
}

/** Where the files that describe a model's environment are, relative to the model. */
export interface EnvironmentFiles {
  conda: string
  virtualenv: string
}

const Text = z.string().nullish()

const MlmodelFile = z.object({
  flavors: z.record(z.string(), z.record(z.string(), z.unknown())),
  signature: z.object({ inputs: Text, outputs: Text, params: Text }).nullish(),
  mlflow_version: Text,
  run_id: Text,
  model_id: Text,
})

// MLflow 3.17 `EnvType`; 1.x wrote the name of the conda file alone.
const EnvironmentSetting = z.union([
  z.string(),
  z.object({ conda: z.string().exactOptional(), virtualenv: z.string().exactOptional() }),
])

/**
 * Parses the text of an MLmodel file of any MLflow release since 1.0.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE with what is wrong in it
 */
export function parseMlmodel(text: string): Model {
  const parsed = MlmodelFile.safeParse(parseYaml(text, 'MLmodel'))
  if (!parsed.success) {
    const [problem] = parsed.error.issues
    const where = problem?.path.join('.') || 'the whole'
    throw invalid(`The MLmodel file cannot be read: ${where}: ${problem?.message}`)
  }
  const { flavors, signature, mlflow_version, run_id, model_id } = parsed.data
  const { inputs = null, outputs = null, params = null } = signature ?? {}
  return {
    flavors,
    ...(signature && { signature: parseSignature({ inputs, outputs, params }) }),
    ...(mlflow_version && { mlflowVersion: mlflow_version }),
    ...(run_id && { runId: run_id }),
    ...(model_id && { modelId: model_id }),
    environmentFiles: environmentFiles(flavors['python_function']?.['env']),
  }
}

/**
 * Reads the model in a directory.
 *
 * @throws ApiError RESOURCE_DOES_NOT_EXIST when the directory holds no MLmodel file
 */
export async function readModel(directory: string): Promise<Model> {
  const text = await readFile(join(directory, 'MLmodel'), 'utf8').catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error
    throw notFound(`There is no model in ${directory}: it has no MLmodel file.`)
  })
  return parseMlmodel(text)
}

/** YAML as MLflow's writer and reader, PyYAML, understand it. */
export function parseYaml(text: string, file: string): unknown {
  try {
    return parse(text, { version: '1.1' })
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw invalid(`The ${file} file is not YAML: ${reason}`)
  }
}

function environmentFiles(setting: unknown): EnvironmentFiles {
  const parsed = EnvironmentSetting.safeParse(setting ?? {})
  if (!parsed.success) throw invalid("The MLmodel file's python_function.env cannot be read.")
  const named: Partial<EnvironmentFiles> =
    typeof parsed.data === 'string' ? { conda: parsed.data } : parsed.data
  const { conda = 'conda.yaml', virtualenv = 'python_env.yaml' } = named
  const files = { conda, virtualenv }
  for (const file of Object.values(files)) {
    if (!findArtifactPath(file)?.length) {
      throw invalid(`The environment file '${file}' of the model is not below the model.`)
    }
  }
  return files
}
