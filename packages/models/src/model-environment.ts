import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { z } from 'zod'
import { type Model, parseYaml } from './mlmodel.ts'
import { parseRequirement, type Requirement, requirementLines } from './requirement.ts'

/** What a model needs to run: an interpreter and packages. */
export interface ModelEnvironment {
  /** `3.11.7` or `3.11`; undefined where the model does not say. */
  python?: string
  /** To install before the rest: pip, setuptools, wheel. */
  buildRequirements: Requirement[]
  requirements: Requirement[]
  /** Versions that hold for packages which others ask for. */
  constraints: Requirement[]
  /** Dependencies that only conda can install, which are left out as MLflow does. */
  leftOut: string[]
}

/** Whose environment a file describes, in what people read. */
type Owner = 'model' | 'project'

const PYTHON = /^\d{1,2}\.\d{1,3}(?:\.\d{1,3})?$/
const PYTHON_PIN = /^python\s*(?:=|==|<=|>=)\s*([\d.]+?)(?:\.\*)?$/
const BUILD_PACKAGE = /^(?:pip|setuptools|wheel)(?![\w-])/
const REQUIREMENTS_FILE = 'requirements.txt'
const CONSTRAINTS_FILE = 'constraints.txt'

const PythonEnvironmentFile = z.object({
  python: z.string().nullish(),
  build_dependencies: z.array(z.string()).nullish(),
  dependencies: z.array(z.string()).nullish(),
})

const CondaFile = z.object({
  dependencies: z
    .array(z.union([z.string(), z.object({ pip: z.array(z.string()).nullish() })]))
    .nullish(),
})

/**
 * Reads what a model needs from its `python_env.yaml`, or from its `conda.yaml` and
 * `requirements.txt` where an older MLflow wrote no such file (MLflow 3.17 `_get_python_env`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when a file cannot be read or asks for what is refused
 */
export async function readModelEnvironment(
  directory: string,
  { environmentFiles }: Pick<Model, 'environmentFiles'>,
): Promise<ModelEnvironment> {
  const read = (file: string) => readIfThere(join(directory, file))
  const [pythonEnvText, condaText, requirementsText] = await Promise.all([
    read(environmentFiles.virtualenv),
    read(environmentFiles.conda),
    read(REQUIREMENTS_FILE),
  ])
  const declared =
    pythonEnvText === undefined
      ? fromConda(condaText, environmentFiles.conda, requirementsText !== undefined)
      : declaredByPythonEnv(pythonEnvText, environmentFiles.virtualenv, 'model')

  const lines = declared.lines.flatMap((line) => {
    if (!isReference(line, 'r', REQUIREMENTS_FILE)) return [line]
    if (requirementsText === undefined) throw invalid(`The model has no ${REQUIREMENTS_FILE}.`)
    return requirementLines(requirementsText)
  })
  const isConstraint = (line: string) => isReference(line, 'c', CONSTRAINTS_FILE)
  const constraintsText = lines.some(isConstraint) ? await read(CONSTRAINTS_FILE) : undefined
  return {
    ...(declared.python !== undefined && { python: declared.python }),
    buildRequirements: declared.buildLines.map(parseRequirement),
    requirements: lines.filter((line) => !isConstraint(line)).map(parseRequirement),
    constraints: requirementLines(constraintsText ?? '').map(parseRequirement),
    leftOut: declared.leftOut,
  }
}

/** What a file says about an environment, each requirement as the line that it is. */
export interface DeclaredEnvironment {
  /** `3.11.7` or `3.11` */
  python: string | undefined
  buildLines: string[]
  lines: string[]
  leftOut: string[]
}

/**
 * Reads a `python_env.yaml`.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when it cannot be read
 */
export function declaredByPythonEnv(text: string, file: string, owner: Owner): DeclaredEnvironment {
  const parsed = PythonEnvironmentFile.safeParse(parseYaml(text, file) ?? {})
  if (!parsed.success) throw unreadable(file, owner, parsed.error)
  const { python, build_dependencies, dependencies } = parsed.data
  return {
    python: checkedVersion(python ?? undefined, owner),
    buildLines: (build_dependencies ?? []).flatMap(requirementLines),
    lines: (dependencies ?? []).flatMap(requirementLines),
    leftOut: [],
  }
}

function fromConda(text: string | undefined, file: string, hasRequirements: boolean) {
  const declared = declaredByConda(text ?? '', file, 'model')
  return hasRequirements ? { ...declared, lines: [`-r ${REQUIREMENTS_FILE}`] } : declared
}

/**
 * Reads of a `conda.yaml` what pip can install: its Python, its build packages and its pip section.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when it cannot be read
 */
export function declaredByConda(text: string, file: string, owner: Owner): DeclaredEnvironment {
  const declared: DeclaredEnvironment = {
    python: undefined,
    buildLines: [],
    lines: [],
    leftOut: [],
  }
  const parsed = CondaFile.safeParse(parseYaml(text, file) ?? {})
  if (!parsed.success) throw unreadable(file, owner, parsed.error)
  for (const dependency of parsed.data.dependencies ?? []) {
    if (typeof dependency !== 'string') {
      declared.lines.push(...(dependency.pip ?? []).flatMap(requirementLines))
      continue
    }
    const [, python] = PYTHON_PIN.exec(dependency.trim()) ?? []
    if (python !== undefined) declared.python ??= python
    else if (BUILD_PACKAGE.test(dependency)) {
      // One `=` is how conda pins.
      declared.buildLines.push(dependency.replace(/(?<![<>=!~])=(?!=)/, '=='))
    } else declared.leftOut.push(dependency)
  }
  return { ...declared, python: checkedVersion(declared.python, owner) }
}

function checkedVersion(python: string | undefined, owner: Owner): string | undefined {
  if (python === undefined || PYTHON.test(python)) return python
  throw invalid(`The ${owner} asks for Python '${python}', which is no version.`)
}

/** Whether a line includes the one file beside it that MLflow itself writes such lines for. */
function isReference(line: string, option: 'r' | 'c', file: string): boolean {
  const [flag, name, ...rest] = line.split(/\s+/)
  return flag === `-${option}` && name === file && rest.length === 0
}

function unreadable(file: string, owner: Owner, error: z.ZodError) {
  const [problem] = error.issues
  const where = problem?.path.join('.') || 'the whole'
  return invalid(`The ${owner}'s ${file} cannot be read: ${where}: ${problem?.message}`)
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
