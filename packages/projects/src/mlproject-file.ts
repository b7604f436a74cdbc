import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { parsePythonYaml, pythonText, type YamlMap, type YamlValue } from './python-yaml.ts'

/** What a project directory declares (MLflow 3.17 `load_project`). */
export interface Project {
  directory: string
  name?: string
  entryPoints: Map<string, EntryPoint>
  environment: ProjectEnvironment
}

export interface EntryPoint {
  name: string
  parameters: Map<string, Parameter>
  /** A template of Python's `str.format`. */
  command: string
}

export interface Parameter {
  /** `path` and `uri` are looked at; all others are text, as in MLflow. */
  type: string
  /** As Python's `str` writes it; undefined when a value has to be given. */
  default?: string
}

export type ProjectEnvironment =
  | { kind: 'python'; file?: string }
  | { kind: 'conda'; file: string }
  | { kind: 'docker'; docker: DockerEnvironment }

export interface DockerEnvironment {
  image: string
  volumes: string[]
  /** Variables to set, or with only a name to copy from whoever runs the project. */
  variables: { name: string; value?: string }[]
}

const ENVIRONMENT_KEYS = ['docker_env', 'python_env', 'conda_env'] as const
const FILE_NAME = 'mlproject'
const PYTHON_FILE = 'python_env.yaml'
const CONDA_FILE = 'conda.yaml'

/**
 * Reads the MLproject file of a directory, whatever the case of its letters; a directory without one
 * is a project without entry points.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE saying what is wrong in it
 */
export async function readProject(directory: string): Promise<Project> {
  const found = (await readdir(directory)).find((name) => name.toLowerCase() === FILE_NAME)
  const file = found ?? 'MLproject'
  const yaml: YamlMap = found
    ? parsePythonYaml(await readFile(join(directory, found), 'utf8'), file)
    : new Map()
  const named = ENVIRONMENT_KEYS.filter((key) => yaml.has(key))
  if (named.length > 1) {
    throw invalid(
      `Project cannot contain multiple environment fields: ${file} has ${named.join(' and ')}; ` +
        'keep one of them.',
    )
  }
  if (isPresent(yaml.get('databricks_spark_job'))) {
    throw invalid(`${file} describes a databricks_spark_job, which only Databricks can run.`)
  }
  const name = yaml.get('name')
  return {
    directory,
    ...(isPresent(name) && { name: pythonText(name) }),
    entryPoints: readEntryPoints(yaml.get('entry_points'), file),
    environment: readEnvironment(yaml, directory, file),
  }
}

function readEntryPoints(value: YamlValue | undefined, file: string): Map<string, EntryPoint> {
  const entryPoints = new Map<string, EntryPoint>()
  if (!isPresent(value)) return entryPoints
  if (!(value instanceof Map)) throw invalid(`entry_points of ${file} must be a mapping.`)
  for (const [name, entry] of value) {
    if (!(entry instanceof Map))
      throw invalid(`Entry point '${name}' of ${file} must be a mapping.`)
    const command = entry.get('command')
    if (!isPresent(command) || command instanceof Map || Array.isArray(command)) {
      throw invalid(`Entry point '${name}' of ${file} has no command.`)
    }
    const parameters = readParameters(entry.get('parameters'), name, file)
    entryPoints.set(name, { name, parameters, command: command.text })
  }
  return entryPoints
}

function readParameters(value: YamlValue | undefined, entryPoint: string, file: string) {
  const parameters = new Map<string, Parameter>()
  if (!isPresent(value)) return parameters
  if (!(value instanceof Map)) {
    throw invalid(`The parameters of entry point '${entryPoint}' of ${file} must be a mapping.`)
  }
  for (const [name, declared] of value) {
    if (!(declared instanceof Map)) {
      if (Array.isArray(declared)) {
        throw invalid(`Parameter '${name}' of ${file} must be a type, or a type and a default.`)
      }
      parameters.set(name, { type: declared.kind === 'null' ? 'string' : declared.text })
      continue
    }
    const type = declared.get('type')
    const byDefault = declared.get('default')
    parameters.set(name, {
      type: isPresent(type) ? pythonText(type) : 'string',
      ...(isPresent(byDefault) && { default: pythonText(byDefault) }),
    })
  }
  return parameters
}

function readEnvironment(yaml: YamlMap, directory: string, file: string): ProjectEnvironment {
  const docker = yaml.get('docker_env')
  if (isPresent(docker)) return { kind: 'docker', docker: readDocker(docker, file) }
  for (const kind of ['python', 'conda'] as const) {
    const value = yaml.get(`${kind}_env`)
    if (isPresent(value)) return { kind, file: namedFile(`${kind}_env`, value, directory) }
  }
  const pythonFile = join(directory, PYTHON_FILE)
  if (existsSync(pythonFile)) return { kind: 'python', file: pythonFile }
  const condaFile = join(directory, CONDA_FILE)
  return existsSync(condaFile) ? { kind: 'conda', file: condaFile } : { kind: 'python' }
}

function namedFile(key: string, value: YamlValue, directory: string): string {
  const path = resolve(directory, pythonText(value))
  if (relative(directory, path).startsWith('..')) {
    throw invalid(`The ${key} file '${pythonText(value)}' is outside of the project.`)
  }
  if (!existsSync(path)) {
    throw invalid(`Project specified ${key} file ${path}, but no such file was found.`)
  }
  return path
}

function readDocker(value: YamlValue, file: string): DockerEnvironment {
  const image = value instanceof Map ? value.get('image') : undefined
  if (!(value instanceof Map) || !isPresent(image)) {
    throw invalid(`${file} was invalid: Docker environment specified but no image attribute found.`)
  }
  const volumes = listOf(value.get('volumes'))
  const variables = listOf(value.get('environment'))
  if (!volumes?.every((item) => 'kind' in item && item.kind === 'text')) {
    throw invalid(`${file} was invalid: Docker volumes must be a list of strings.`)
  }
  const isPair = (item: YamlValue) => Array.isArray(item) && item.length === 2
  if (!variables?.every((item) => isPair(item) || ('kind' in item && item.kind === 'text'))) {
    throw invalid(
      `${file} was invalid: environment must be a list containing either strings (to copy ` +
        'environment variables from host system) or lists of string pairs (to define new ' +
        'environment variables).',
    )
  }
  return {
    image: pythonText(image),
    volumes: volumes.map(pythonText),
    variables: variables.map((item) => {
      if (!Array.isArray(item)) return { name: pythonText(item) }
      const [name = '', text = ''] = item.map(pythonText)
      return { name, value: text }
    }),
  }
}

/** The items of a list, none when there is no value, undefined for what is no list. */
function listOf(value: YamlValue | undefined): YamlValue[] | undefined {
  if (!isPresent(value)) return []
  return Array.isArray(value) ? value : undefined
}

function isPresent(value: YamlValue | undefined): value is YamlValue {
  return value !== undefined && !('kind' in value && value.kind === 'null')
}
