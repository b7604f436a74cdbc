import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { parseRequirement, type Requirement, requirementLines } from '@millrace/models/requirement'

/** What a script-mode job is made of: settings of the platform, and what goes to the script. */
export interface ScriptSettings {
  /** Hyperparameters of the client's own, decoded. */
  user: Record<string, unknown>
  /** Those that begin with `sagemaker_`, decoded. */
  framework: Record<string, unknown>
}

const PLATFORM = new Set(['_tuning_objective_metric', 'default_user_module_name'])

/** Hyperparameters as the toolkits of the framework images read them: JSON where it is JSON. */
export function scriptSettings(hyperParameters: Record<string, string>): ScriptSettings {
  const settings: ScriptSettings = { user: {}, framework: {} }
  for (const [name, text] of Object.entries(hyperParameters)) {
    const isPlatform = name.startsWith('sagemaker_') || PLATFORM.has(name)
    settings[isPlatform ? 'framework' : 'user'][name] = decode(text)
  }
  return settings
}

function decode(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/**
 * The arguments of a script: `--name value` in the order of the names, `-n value` for names of one
 * letter, `k=v,k2=v2` for maps, as SageMaker's training toolkit passes them.
 */
export function scriptArguments(
  user: Record<string, unknown>,
  hyperParameters: Record<string, string>,
): string[] {
  return Object.keys(user)
    .sort()
    .flatMap((name) => {
      const value = user[name]
      // A number stays as it was written: 1.0 is not to become 1.
      const text = typeof value === 'number' ? hyperParameters[name]?.trim() : undefined
      return [name.length === 1 ? `-${name}` : `--${name}`, text ?? argument(value)]
    })
}

function argument(value: unknown): string {
  if (value === null) return ''
  if (typeof value === 'object' && !Array.isArray(value)) {
    return Object.entries(value)
      .map(([key, inner]) => `${key}=${argument(inner)}`)
      .join(',')
  }
  return typeof value === 'string' ? value : asPython(value)
}

/** A value as Python prints it. */
function asPython(value: unknown): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (Array.isArray(value)) return `[${value.map(asPython).join(', ')}]`
  if (typeof value === 'string') return `'${value.replace(/['\\]/g, (found) => `\\${found}`)}'`
  return JSON.stringify(value)
}

/** How the entry of a script-mode job is started. */
export interface ScriptPlan {
  kind: 'package' | 'script' | 'command'
  entry: string
  requirements: Requirement[]
  /** There are requirements that only pip in the job's own environment can deal with. */
  needsPip: boolean
}

/**
 * Looks at the code of a job: a shell script or another program is started as it is, a folder with
 * `setup.py` as a module of its package, anything else that ends in `.py` as a script.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the entry is not there
 */
export async function planScript(code: string, entry: string): Promise<ScriptPlan> {
  const files = new Set(await readdir(code).catch(() => []))
  const kind = entry.endsWith('.sh')
    ? 'command'
    : files.has('setup.py')
      ? 'package'
      : entry.endsWith('.py')
        ? 'script'
        : 'command'
  if (/(^\/)|(^|\/)\.\.(\/|$)/.test(entry)) {
    throw invalid(`The program '${entry}' (sagemaker_program) has to lie in the source folder.`)
  }
  const folder = entry.split('/')
  if (!files.has(folder[0] ?? '')) {
    throw invalid(
      `The program '${entry}' (sagemaker_program) is not in the source folder, which has: ` +
        `${[...files].sort().slice(0, 20).join(', ') || 'nothing'}.`,
    )
  }
  if (!files.has('requirements.txt')) {
    return { kind, entry, requirements: [], needsPip: kind === 'package' }
  }
  const text = await readFile(join(code, 'requirements.txt'), 'utf8')
  const requirements = plainRequirements(text)
  return {
    kind,
    entry,
    requirements: requirements ?? [],
    needsPip: kind === 'package' || requirements === undefined,
  }
}

/** The packages of a requirements file; undefined when it has more than packages and versions. */
function plainRequirements(text: string): Requirement[] | undefined {
  try {
    return requirementLines(text).map(parseRequirement)
  } catch {
    return undefined
  }
}

/** The commands of a job: what installs its code, when that is needed, and the job itself. */
export function scriptSteps(
  { kind, entry, needsPip }: ScriptPlan,
  python: string,
  args: string[],
): string[][] {
  const pip = [python, '-m', 'pip', 'install', '--no-input', '--disable-pip-version-check']
  const install = kind === 'package' ? [...pip, '.'] : pip
  const installs = needsPip
    ? [[...install, ...(kind === 'package' ? [] : ['-r', 'requirements.txt'])]]
    : []
  switch (kind) {
    case 'package':
      return [...installs, [python, '-m', entry.replace(/\.py$/, '').replaceAll('/', '.'), ...args]]
    case 'script':
      return [...installs, [python, entry, ...args]]
    case 'command':
      return [...installs, [`./${entry}`, ...args]]
  }
}
