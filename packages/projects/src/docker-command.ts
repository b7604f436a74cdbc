import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { parseLocation } from '@millrace/artifacts/location'
import { type ProjectJob, runVariables } from './backend.ts'

export interface DockerCommand {
  /** `docker run` up to the image, which the caller adds. */
  argv: [program: string, ...args: string[]]
  /** Of the container. */
  name: string
  /** What docker copies into the container from its own environment, so that no secret is in argv. */
  variables: Record<string, string>
}

const S3_VARIABLES = [
  'AWS_SECRET_ACCESS_KEY',
  'AWS_ACCESS_KEY_ID',
  'AWS_SESSION_TOKEN',
  'MLFLOW_S3_ENDPOINT_URL',
  'MLFLOW_S3_IGNORE_TLS',
]
const AZURE_VARIABLES = ['AZURE_STORAGE_CONNECTION_STRING', 'AZURE_STORAGE_ACCESS_KEY']
const CREDENTIALS = [
  'MLFLOW_TRACKING_USERNAME',
  'MLFLOW_TRACKING_PASSWORD',
  'MLFLOW_TRACKING_TOKEN',
]

/**
 * `docker run` with the arguments of `-A`, the store of artifacts, and the variables of the run and
 * of the project (MLflow 3.17 `_get_docker_command`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a variable that is to be copied and is not set
 */
export function dockerCommand(job: ProjectJob): DockerCommand {
  const { environment, project, run, dockerArgs } = job
  const args = [...dockerArgs].flatMap(([name, value]) => {
    const flag = name.length === 1 ? `-${name}` : `--${name}`
    return value === true ? [flag] : [flag, value]
  })
  const store = storeAccess(run.artifact_uri, environment)
  const docker =
    project.environment.kind === 'docker'
      ? project.environment.docker
      : { volumes: [], variables: [] }
  const own = docker.variables.map(({ name, value = environment[name] }) => {
    if (value !== undefined) return [name, value] as const
    throw invalid(
      `This project expects the ${name} environment variable to be set on the machine running it, ` +
        `but ${name} was not set: set it, or give it a value in docker_env.`,
    )
  })
  const variables = {
    ...runVariables(job),
    ...given(CREDENTIALS, environment),
    ...store.variables,
    ...Object.fromEntries(own),
  }
  const volumes = [...store.volumes, ...docker.volumes].flatMap((volume) => ['-v', volume])
  const names = Object.keys(variables).flatMap((name) => ['-e', name])
  const name = dockerArgs.get('name')
  const ownName = typeof name === 'string' ? name : `millrace-${run.run_id}`
  const naming = typeof name === 'string' ? [] : ['--name', ownName]
  const argv: DockerCommand['argv'] = ['docker', 'run', '--rm', ...naming, ...args]
  return { argv: [...argv, ...volumes, ...names], name: ownName, variables }
}

/** What a container needs to write to the artifacts of its run itself. */
function storeAccess(artifactUri: string, environment: NodeJS.ProcessEnv) {
  const location = parseLocation(artifactUri)
  if (location.scheme === 'file') {
    return { volumes: [`${location.path}:${location.path}`], variables: {} }
  }
  if (location.scheme === 's3') {
    const home = join(homedir(), '.aws')
    const volumes = existsSync(home) ? [`${home}:/.aws`] : []
    return { volumes, variables: given(S3_VARIABLES, environment) }
  }
  if (location.scheme === 'other' && location.name.startsWith('wasb')) {
    return { volumes: [], variables: given(AZURE_VARIABLES, environment) }
  }
  const google = environment['GOOGLE_APPLICATION_CREDENTIALS']
  if (location.scheme === 'other' && location.name === 'gs' && google) {
    const variables = { GOOGLE_APPLICATION_CREDENTIALS: '/.gcs' }
    return { volumes: [`${google}:/.gcs`], variables }
  }
  return { volumes: [], variables: {} }
}

function given(names: string[], environment: NodeJS.ProcessEnv): Record<string, string> {
  const set = names.map((name) => [name, environment[name]] as const)
  return Object.fromEntries(set.filter((entry): entry is [string, string] => Boolean(entry[1])))
}
