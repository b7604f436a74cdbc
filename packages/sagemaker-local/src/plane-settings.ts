/** A key pair that a request may be signed with. */
export interface AccessKey {
  accessKeyId: string
  secretAccessKey: string
}

/** What a control plane is told when it starts; the runner process gets the same. */
export interface PlaneSettings {
  /** Where everything lies: the state, the objects, the images and the jobs' files. */
  directory: string
  /** Where the control plane answers, e.g. `http://127.0.0.1:5055`. */
  url: string
  /** The region of requests that name none. */
  region: string
  /** Twelve digits. */
  accountId: string
  /** The role that everybody is said to have assumed. */
  roleName: string
  /** With keys, every request must be signed with one of them; without, any signature will do. */
  accessKeys: AccessKey[]
  /** The MLflow tracking server that jobs are told of. */
  trackingUri: string | undefined
  /** How many jobs run at the same time. */
  places: number
  /** A YAML file that says what images stand for; see docs/sagemaker-local.md. */
  imagesFile: string | undefined
  /** Where Python environments are made and programs are found: PATH, HOME, MILLRACE_CACHE. */
  environment: Record<string, string>
}

const PASSED_ON = [
  'PATH',
  'HOME',
  'LANG',
  'PYENV_ROOT',
  'MILLRACE_CACHE',
  'MILLRACE_PYTHON',
  'XDG_CACHE_HOME',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'SSL_CERT_FILE',
  'UV_INDEX_URL',
  'UV_DEFAULT_INDEX',
  'PIP_INDEX_URL',
]

/** The part of an environment that is needed to find programs and to install packages. */
export function programEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    PASSED_ON.flatMap((name) => {
      const value = environment[name] ?? environment[name.toLowerCase()]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}
