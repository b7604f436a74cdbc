import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { V1EnvVar, V1Job } from '@kubernetes/client-node'
import { invalid } from '@millrace/api/errors'
import { parse } from 'yaml'
import { z } from 'zod'

/** What `--backend-config` holds for kubernetes, by MLflow's names. */
export interface KubernetesConfig {
  /** Undefined for the current context, or that of the pod this runs in. */
  context: string | undefined
  repository: string
  template: JobTemplate
}

/** The parts of a job that this program fills in; all others are the user's. */
const JobTemplate = z.looseObject({
  apiVersion: z.string().default('batch/v1'),
  kind: z.literal('Job').default('Job'),
  metadata: z.looseObject({ namespace: z.string().default('default') }).prefault({}),
  spec: z.looseObject({
    template: z.looseObject({
      spec: z.looseObject({
        containers: z
          .array(z.looseObject({ env: z.array(z.looseObject({ name: z.string() })).optional() }))
          .min(1),
      }),
    }),
  }),
})
type JobTemplate = z.output<typeof JobTemplate>

// Of a label by RFC 1123; a job's pods get five more characters and a dash.
const NAME_CHARACTERS_MAX = 57

/**
 * Reads the settings of the backend and the job's template (MLflow 3.17 `_parse_kubernetes_config`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the setting that is missing or wrong
 */
export function readKubernetesConfig(config: Readonly<Record<string, unknown>>): KubernetesConfig {
  const path = config['kube-job-template-path']
  const repository = config['repository-uri']
  const context = config['kube-context']
  if (typeof path !== 'string' || path === '') {
    throw invalid("'kube-job-template-path' attribute must be specified in backend_config.")
  }
  if (typeof repository !== 'string' || repository === '') {
    throw invalid("Could not find 'repository-uri' in backend_config.")
  }
  if (context !== undefined && typeof context !== 'string') {
    throw invalid("'kube-context' in backend_config must be the name of a context.")
  }
  if (!existsSync(path)) throw invalid(`Could not find 'kube-job-template-path': ${resolve(path)}`)
  return { context: context || undefined, repository, template: readTemplate(path) }
}

function readTemplate(path: string): JobTemplate {
  let yaml: unknown
  try {
    yaml = parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw invalid(`The job template ${path} is not YAML: ${reason}`)
  }
  const parsed = JobTemplate.safeParse(yaml)
  if (parsed.success) return parsed.data
  const [problem] = parsed.error.issues
  throw invalid(
    `The job template ${path} cannot be used: ${problem?.path.join('.')}: ${problem?.message}`,
  )
}

export interface JobContents {
  projectName: string
  image: string
  command: readonly string[]
  variables: Record<string, string>
  /** When the run began, which makes the job's name its own. */
  startedAt: Date
}

/**
 * The job of a run: the template with a name, and in its first container the image, the command and
 * the run's variables (MLflow 3.17 `_get_kubernetes_job_definition`).
 */
export function jobOf(template: JobTemplate, contents: JobContents): V1Job {
  const { projectName, image, command, variables, startedAt } = contents
  const stamp = startedAt.toISOString().replaceAll(/\D/g, '')
  const [first, ...others] = template.spec.template.spec.containers
  const env: V1EnvVar[] = [
    ...(first?.env ?? []),
    ...Object.entries(variables).map(([name, value]) => ({ name, value })),
  ]
  const container = { ...first, name: label(projectName, 63), image, command: [...command], env }
  const { spec } = template
  const pod = { ...spec.template.spec, containers: [container, ...others] }
  return {
    ...template,
    metadata: {
      ...template.metadata,
      name: `${label(projectName, NAME_CHARACTERS_MAX - stamp.length - 1)}-${stamp}`,
    },
    // The template's other keys are whatever the cluster knows.
    spec: { ...spec, template: { ...spec.template, spec: pod } } as NonNullable<V1Job['spec']>,
  }
}

/** A project's name as kubernetes takes names. */
function label(name: string, charactersMax: number): string {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9-]+/g, '-')
  return plain.replace(/^-+/, '').slice(0, charactersMax).replace(/-+$/, '') || 'project'
}
