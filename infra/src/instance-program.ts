/** Where the data disk is seen on an instance of the Nitro system. */
export const DATA_DEVICE = '/dev/sdf'

const DISK = '/dev/nvme1n1'

export interface InstanceSettings {
  image: string
  bucket: string
  logGroup: string
  /** Without one, SQLite on the data disk. */
  database: { environment: Record<string, string>; secretArn: string } | undefined
}

/**
 * What the instance does when it is made: a container engine, the data disk (formatted only when
 * it is empty) and the unit that runs the server. The settings come from {@link updateProgram}.
 */
export function startProgram(region: string): string[] {
  return [
    'dnf install -y docker jq',
    'systemctl enable --now docker',
    `for i in $(seq 60); do [ -b ${DISK} ] && break; sleep 5; done`,
    `blkid ${DISK} || mkfs.xfs ${DISK}`,
    'mkdir -p /data /etc/millrace',
    `echo "${DISK} /data xfs defaults,nofail 0 2" >> /etc/fstab`,
    'mount -a && chown 65532:65532 /data && chmod 750 /data',
    "cat > /etc/systemd/system/millrace.service <<'UNIT'",
    ...unitOf(region),
    'UNIT',
    'systemctl daemon-reload',
    'systemctl enable millrace',
  ]
}

function unitOf(region: string): string[] {
  return [
    '[Unit]',
    'Description=Millrace tracking server',
    'After=docker.service network-online.target',
    'Requires=docker.service',
    'RequiresMountsFor=/data',
    '[Service]',
    'EnvironmentFile=/etc/millrace/unit.env',
    'RuntimeDirectory=millrace',
    'RuntimeDirectoryMode=0700',
    'ExecStartPre=/usr/local/bin/millrace-prepare',
    'ExecStartPre=-/usr/bin/docker rm -f millrace',
    'ExecStart=/usr/bin/docker run --rm --name millrace --network host --read-only --tmpfs /tmp ' +
      '--cap-drop ALL --security-opt no-new-privileges --volume /data:/data ' +
      `--log-driver awslogs --log-opt awslogs-region=${region} --log-opt awslogs-group=\${LOG_GROUP} ` +
      '--env-file /etc/millrace/server.env --env-file /run/millrace/secret.env ${IMAGE}',
    'ExecStop=/usr/bin/docker stop --time 30 millrace',
    'Restart=always',
    'RestartSec=5',
    '[Install]',
    'WantedBy=multi-user.target',
  ]
}

/**
 * Writes the settings of the stack and starts the server with them. The password is in none of
 * them: it is fetched at each start, into memory.
 */
export function updateProgram(
  region: string,
  { image, bucket, logGroup, database }: InstanceSettings,
): string[] {
  const settings = {
    // The tunnel of Session Manager ends on the instance itself; nobody else may come.
    MILLRACE_HOST: '127.0.0.1',
    MILLRACE_PORT: '5000',
    MILLRACE_ARTIFACTS_DESTINATION: `s3://${bucket}/artifacts`,
    AWS_REGION: region,
    ...database?.environment,
  }
  return [
    'set -eu',
    'for i in $(seq 60); do [ -f /etc/systemd/system/millrace.service ] && break; sleep 5; done',
    "cat > /etc/millrace/server.env <<'ENV'",
    ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
    'ENV',
    "cat > /etc/millrace/unit.env <<'ENV'",
    `IMAGE=${image}`,
    `LOG_GROUP=${logGroup}`,
    'ENV',
    "cat > /usr/local/bin/millrace-prepare <<'PROGRAM'",
    ...prepareProgram(region, database?.secretArn),
    'PROGRAM',
    'chmod 700 /usr/local/bin/millrace-prepare',
    ...(database ? [upgradeCommand()] : []),
    'systemctl restart millrace',
  ]
}

/** Pulls the image, signed in for that long, and writes the password where only root reads it. */
function prepareProgram(region: string, secretArn: string | undefined): string[] {
  const value = `aws secretsmanager get-secret-value --region ${region} --secret-id ${secretArn} --query SecretString --output text`
  return [
    '#!/usr/bin/env bash',
    'set -euo pipefail',
    'umask 077',
    'install -m 600 /dev/null /run/millrace/secret.env',
    ...(secretArn
      ? [`${value} | jq -r '"MILLRACE_DATABASE_PASSWORD=" + .password' > /run/millrace/secret.env`]
      : []),
    'case "$IMAGE" in',
    `  *.dkr.ecr.*) aws ecr get-login-password --region ${region} | docker login --username AWS --password-stdin "\${IMAGE%%/*}" ;;`,
    'esac',
    'docker pull --quiet "$IMAGE"',
    'docker logout "${IMAGE%%/*}" > /dev/null',
  ]
}

/** The tables are brought up to date before the new server starts, and once. */
function upgradeCommand(): string {
  return (
    'set -a && . /etc/millrace/unit.env && set +a && mkdir -p -m 700 /run/millrace && ' +
    '/usr/local/bin/millrace-prepare && docker run --rm --network host --read-only --tmpfs /tmp ' +
    '--env-file /etc/millrace/server.env --env-file /run/millrace/secret.env "$IMAGE" db upgrade'
  )
}
