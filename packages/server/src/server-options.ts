/** A setting of `millrace server`, on the command line and in the environment. */
export interface ServerOption {
  /** Long flag without dashes; the key of the parsed value. */
  name: string
  short?: string
  /** What its value is called in the help; a flag without one is a switch. */
  value?: string
  /** Given without its value, it is `true`. */
  isValueOptional?: boolean
  /** A `--no-<name>` form exists as well. */
  isNegatable?: boolean
  /** Environment variables that set it, the first one that is set wins. */
  env: readonly string[]
  describe: string
  /** Shown in the help and used when nothing is set. */
  defaultsTo?: string
  /** No flag: it would be seen in the list of processes. */
  isFromEnvironmentOnly?: boolean
  /** Taken for the sake of scripts written for MLflow, and answered with this line. */
  ignoredBecause?: string
}

function both(name: string): readonly string[] {
  return [`MILLRACE_${name}`, `MLFLOW_${name}`]
}

/** Every setting; the help, the environment and `docs/configuration.md` are made from it. */
export const SERVER_OPTIONS: readonly ServerOption[] = [
  {
    name: 'backend-store-uri',
    value: 'URI',
    env: both('BACKEND_STORE_URI'),
    describe:
      'Database of experiments, runs and models: sqlite:///path/to/file.db, or postgresql:// or mysql:// with user:password@host:port/database.',
    defaultsTo: 'sqlite:///millrace.db',
  },
  {
    name: 'database-host',
    value: 'HOST',
    env: ['MILLRACE_DATABASE_HOST'],
    describe:
      'Host of the database server, in place of --backend-store-uri, where secrets come one by one; the settings below are its other parts, each exactly as it is.',
    defaultsTo: '',
  },
  {
    name: 'database-port',
    value: 'PORT',
    env: ['MILLRACE_DATABASE_PORT'],
    describe: 'Port of --database-host; 5432 or 3306 when not given.',
    defaultsTo: '',
  },
  {
    name: 'database-engine',
    value: 'ENGINE',
    env: ['MILLRACE_DATABASE_ENGINE'],
    describe: 'What answers at --database-host: postgresql, mysql or mariadb.',
    defaultsTo: 'postgresql',
  },
  {
    name: 'database-name',
    value: 'NAME',
    env: ['MILLRACE_DATABASE_NAME'],
    describe: 'Name of the database at --database-host.',
    defaultsTo: '',
  },
  {
    name: 'database-user',
    value: 'USER',
    env: ['MILLRACE_DATABASE_USER'],
    describe: 'User at --database-host.',
    defaultsTo: '',
  },
  {
    name: 'database-password',
    env: ['MILLRACE_DATABASE_PASSWORD'],
    isFromEnvironmentOnly: true,
    describe: 'Password at --database-host.',
    defaultsTo: '',
  },
  {
    name: 'database-sslmode',
    value: 'MODE',
    env: ['MILLRACE_DATABASE_SSLMODE'],
    describe: 'disable, require, verify-ca or verify-full for --database-host.',
    defaultsTo: '',
  },
  {
    name: 'database-pool-size',
    value: 'COUNT',
    env: ['MILLRACE_DATABASE_POOL_SIZE', 'MLFLOW_SQLALCHEMYSTORE_POOL_SIZE'],
    describe: 'Most connections that one process opens to a database server.',
    defaultsTo: '16',
  },
  {
    name: 'default-artifact-root',
    value: 'URI',
    env: both('DEFAULT_ARTIFACT_ROOT'),
    describe:
      'Where new experiments keep their artifacts. Default: mlflow-artifacts:/ (through this server), or ./mlruns with --no-serve-artifacts.',
  },
  {
    name: 'artifacts-destination',
    value: 'URI',
    env: both('ARTIFACTS_DESTINATION'),
    describe:
      'Directory, bucket (s3://bucket/prefix, gs://) or container (wasbs://) behind mlflow-artifacts:/, or the artifact routes of another server (http://host/api/2.0/mlflow-artifacts/artifacts).',
    defaultsTo: './mlartifacts',
  },
  {
    name: 'serve-artifacts',
    isNegatable: true,
    env: both('SERVE_ARTIFACTS'),
    describe: 'Take and give artifacts through this server.',
    defaultsTo: 'true',
  },
  {
    name: 's3-endpoint-url',
    value: 'URL',
    env: [...both('S3_ENDPOINT_URL'), 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
    describe: 'S3-compatible server that s3:// locations are at, instead of AWS.',
  },
  {
    name: 's3-region',
    value: 'REGION',
    env: ['MILLRACE_S3_REGION', 'AWS_REGION', 'AWS_DEFAULT_REGION'],
    describe: 'Where buckets are looked for first; the region of each is found out.',
  },
  {
    name: 's3-addressing-style',
    value: 'STYLE',
    env: ['MILLRACE_S3_ADDRESSING_STYLE', 'MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE'],
    describe:
      'path puts the bucket into the path of requests, virtual into the host name, auto into the path with --s3-endpoint-url.',
    defaultsTo: 'auto',
  },
  {
    name: 's3-upload-extra-args',
    value: 'JSON',
    env: both('S3_UPLOAD_EXTRA_ARGS'),
    describe:
      'What new objects in S3 are given, such as {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "..."} or {"ACL": "bucket-owner-full-control"}.',
  },
  {
    name: 's3-expected-bucket-owner',
    value: 'ACCOUNT',
    env: both('S3_EXPECTED_BUCKET_OWNER'),
    describe: 'AWS account that buckets must belong to.',
  },
  {
    name: 's3-ignore-tls',
    env: both('S3_IGNORE_TLS'),
    describe: 'Accept any certificate of the S3 server. For tests only.',
  },
  {
    name: 'azure-connection-string',
    env: ['MILLRACE_AZURE_CONNECTION_STRING', 'AZURE_STORAGE_CONNECTION_STRING'],
    isFromEnvironmentOnly: true,
    describe: 'Account behind wasbs:// locations, with its key.',
    defaultsTo: '',
  },
  {
    name: 'azure-access-key',
    env: ['MILLRACE_AZURE_ACCESS_KEY', 'AZURE_STORAGE_ACCESS_KEY'],
    isFromEnvironmentOnly: true,
    describe: 'Key of the account that a wasbs:// location names.',
    defaultsTo: '',
  },
  {
    name: 'direct-transfers',
    isNegatable: true,
    env: ['MILLRACE_DIRECT_TRANSFERS'],
    describe:
      'Give clients links by which they send and fetch files straight from S3; say no where clients cannot reach it.',
    defaultsTo: 'true',
  },
  {
    name: 'presigned-download-url-ttl-seconds',
    value: 'SECONDS',
    env: both('PRESIGNED_DOWNLOAD_URL_TTL_SECONDS'),
    describe: 'How long a link that downloads straight from the store is valid, at most 604800.',
    defaultsTo: '300',
  },
  {
    name: 'host',
    short: 'h',
    value: 'HOST',
    env: both('HOST'),
    describe: 'Address to listen on.',
    defaultsTo: '127.0.0.1',
  },
  {
    name: 'port',
    short: 'p',
    value: 'PORT',
    env: both('PORT'),
    describe: 'Port to listen on; 0 takes a free one.',
    defaultsTo: '5000',
  },
  {
    name: 'allow-unauthenticated',
    env: ['MILLRACE_ALLOW_UNAUTHENTICATED'],
    describe:
      'Listen beyond this machine although there is no login: whoever reaches the address may read, change and delete everything.',
  },
  {
    name: 'static-prefix',
    value: 'PATH',
    env: both('STATIC_PREFIX'),
    describe: 'Path in front of every URL, such as /mlflow.',
    defaultsTo: '',
  },
  {
    name: 'allowed-hosts',
    value: 'NAMES',
    env: ['MILLRACE_ALLOWED_HOSTS', 'MLFLOW_SERVER_ALLOWED_HOSTS'],
    describe:
      'Host names to answer to, separated by commas, besides localhost and private addresses; * for all.',
    defaultsTo: '',
  },
  {
    name: 'cors-allowed-origins',
    value: 'ORIGINS',
    env: ['MILLRACE_CORS_ALLOWED_ORIGINS', 'MLFLOW_SERVER_CORS_ALLOWED_ORIGINS'],
    describe: 'Origins of pages that may call this server, separated by commas; * for all.',
    defaultsTo: '',
  },
  {
    name: 'disable-security-middleware',
    env: ['MILLRACE_DISABLE_SECURITY_MIDDLEWARE', 'MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE'],
    describe: 'Answer to any host name and origin. For tests only.',
  },
  {
    name: 'x-frame-options',
    value: 'VALUE',
    env: ['MILLRACE_X_FRAME_OPTIONS', 'MLFLOW_SERVER_X_FRAME_OPTIONS'],
    describe: 'SAMEORIGIN, DENY, or NONE to let any page embed this one.',
    defaultsTo: 'SAMEORIGIN',
  },
  {
    name: 'expose-prometheus',
    value: 'DIRECTORY',
    env: both('EXPOSE_PROMETHEUS'),
    describe: 'Serve /metrics. The directory that MLflow wants here is not used.',
  },
  {
    name: 'sqlite-synchronous',
    value: 'LEVEL',
    env: ['MILLRACE_SQLITE_SYNCHRONOUS'],
    describe:
      'full: an answered write survives power failure. normal: only the end of the process, and three times the write rate.',
    defaultsTo: 'full',
  },
  {
    name: 'pending-writes-max',
    value: 'COUNT',
    env: ['MILLRACE_PENDING_WRITES_MAX'],
    describe: 'Writes that may wait for the database; one more is answered 503 with Retry-After.',
    defaultsTo: '20000',
  },
  {
    name: 'read-replica-backend-store-uri',
    value: 'URI',
    env: both('READ_REPLICA_BACKEND_STORE_URI'),
    describe:
      'A read-only copy of the database server that answers searches and metric histories; what was just written may be missing from them. While it is away the database itself answers.',
    defaultsTo: '',
  },
  {
    name: 'workers',
    short: 'w',
    value: 'COUNT',
    env: both('WORKERS'),
    describe:
      'Processes that serve requests over one PostgreSQL, MySQL or MariaDB database. SQLite has one writer, and there one process serves all.',
    defaultsTo: '1',
  },
  {
    name: 'drain-seconds',
    value: 'SECONDS',
    env: ['MILLRACE_DRAIN_SECONDS'],
    describe:
      'How long after SIGTERM requests are still answered while /ready says 503, so that load balancers turn away first.',
    defaultsTo: '0',
  },
  {
    name: 'truncate-long-values',
    isNegatable: true,
    env: both('TRUNCATE_LONG_VALUES'),
    describe: 'Cut param and tag values that are too long, rather than refuse them.',
    defaultsTo: 'true',
  },
  {
    name: 'local-artifact-roots',
    value: 'DIRECTORIES',
    env: ['MILLRACE_LOCAL_ARTIFACT_ROOTS'],
    describe:
      'Local directories, separated by commas, that the server may show artifacts from besides its own.',
    defaultsTo: '',
  },
  {
    name: 'remote-artifact-roots',
    value: 'URIS',
    env: ['MILLRACE_REMOTE_ARTIFACT_ROOTS'],
    describe:
      'Buckets (s3://bucket or s3://bucket/prefix), separated by commas, that the server may show artifacts from besides its own; * for all that its credentials reach. Default: * when it listens on this machine alone.',
  },
  {
    name: 'allowed-artifact-schemes',
    value: 'SCHEMES',
    env: ['MILLRACE_ALLOWED_ARTIFACT_SCHEMES', 'MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES'],
    describe: 'URL schemes such as https or ftp that an artifact_location may use.',
    defaultsTo: '',
  },
  {
    name: 'artifact-location-length-max',
    value: 'COUNT',
    env: ['MILLRACE_ARTIFACT_LOCATION_LENGTH_MAX', 'MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH'],
    describe: 'Most characters that an artifact_location may have.',
    defaultsTo: '2048',
  },
  {
    name: 'model-source-pattern',
    value: 'REGEXP',
    env: ['MILLRACE_MODEL_SOURCE_PATTERN', 'MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX'],
    describe: 'A regular expression that the source of every new model version must match.',
  },
  {
    name: 'sagemaker-local',
    value: 'PORT',
    isValueOptional: true,
    env: ['MILLRACE_SAGEMAKER_LOCAL'],
    describe:
      'Also serve the APIs of SageMaker on this machine, with pages about jobs and endpoints; at port 5055 unless one is given, 0 for a free one. Not beyond this machine, where others could run programs.',
  },
  {
    name: 'sagemaker-data-dir',
    value: 'DIRECTORY',
    env: ['MILLRACE_SAGEMAKER_DATA'],
    describe:
      'Where --sagemaker-local keeps jobs, objects and images. Default: sagemaker beside the SQLite file, else in the folder the server is started in.',
    defaultsTo: '',
  },
  {
    name: 'sagemaker-images',
    value: 'FILE',
    env: ['MILLRACE_SAGEMAKER_IMAGES'],
    describe: 'A YAML file that says what images stand for under --sagemaker-local.',
    defaultsTo: '',
  },
  {
    name: 'demo',
    env: [],
    describe: 'Fill in a sample project, so that the pages have something to show.',
  },
  ...ignored({
    'registry-store-uri': ['URI', 'models are kept in the database of --backend-store-uri'],
    'gunicorn-opts': ['OPTIONS', 'there is no gunicorn behind this server'],
    'waitress-opts': ['OPTIONS', 'there is no waitress behind this server'],
    'uvicorn-opts': ['OPTIONS', 'there is no uvicorn behind this server'],
    dev: ['', 'there is nothing to reload'],
    'secrets-cache-ttl': ['SECONDS', 'no secrets are kept'],
    'secrets-cache-max-size': ['COUNT', 'no secrets are kept'],
    'disable-workspaces': ['', 'there are no workspaces yet'],
  }),
]

function ignored(options: Record<string, [value: string, reason: string]>): ServerOption[] {
  return Object.entries(options).map(([name, [value, ignoredBecause]]) => {
    const [, short, word] = /^(?:-(\w) )?(\w*)$/.exec(value) ?? []
    return {
      name,
      env: [],
      describe: `Taken and not used: ${ignoredBecause}.`,
      ignoredBecause,
      ...(short && { short }),
      ...(word && { value: word }),
    }
  })
}

/** Options of MLflow that would promise something this server does not do. */
export const REFUSED_OPTIONS: Readonly<Record<string, string>> = {
  'artifacts-only': 'this server always keeps runs and models too',
  'app-name': 'there is no login yet; keep the server on this machine',
  'enable-workspaces': 'there are no workspaces yet',
  'workspace-store-uri': 'there are no workspaces yet',
  'trace-archival-config': 'traces are not served yet',
}
