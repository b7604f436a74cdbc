import { invalid } from '@millrace/api/errors'
import type { ArtifactLocation } from './location.ts'

/** Which hosts a client may name in a location it stores. */
export interface HostPolicy {
  /** Schemes with which clients may name any host: `MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES`. */
  allowedSchemes: readonly string[]
  /** The server's default artifact root and destination; the hosts they name are allowed. */
  ownLocations: readonly ArtifactLocation[]
}

// MLflow 3.17 `host_policy`, with the two Databricks schemes that past attacks went through.
// A missing port is one of these; undefined stands for a port we cannot know.
const DEFAULT_PORTS: Record<string, readonly (number | undefined)[]> = {
  ftp: [21],
  sftp: [22],
  hdfs: [undefined],
  viewfs: [undefined],
  http: [80],
  https: [443],
  'mlflow-artifacts': [80, 443],
  r2: [443],
  b2: [443],
  abfss: [443],
  dbfs: [undefined],
  uc: [undefined],
}

// Schemes that reach the same service.
const FAMILIES: Record<string, string> = {
  viewfs: 'hdfs',
  https: 'http',
  'mlflow-artifacts': 'http',
}

/**
 * Refuses a location that would make the server, or a client acting for it, connect to a host of
 * the sender's choice, with MLflow's text; `field` is the request's field.
 */
export function refuseForeignHost(location: ArtifactLocation, field: string, policy: HostPolicy) {
  const scheme = schemeOf(location)
  const targets = hostTargets(location)
  if (targets.length === 0) return
  if (policy.allowedSchemes.some((allowed) => allowed.toLowerCase() === scheme)) return
  const own = policy.ownLocations.flatMap(hostTargets)
  if (targets.some((target) => own.includes(target))) return
  throw invalid(
    `'${field}' cannot use the '${scheme}' scheme: the '${scheme}' scheme addresses a host other ` +
      "than the tracking server's configured artifact storage, so the server would connect to " +
      'the host named in the URI. Set the MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES ' +
      'environment variable on the server to allow it.',
  )
}

/** Every `family host port` the location may lead to; none when it names no host. */
function hostTargets(location: ArtifactLocation): string[] {
  const scheme = schemeOf(location)
  const authority = authorityOf(location)
  const defaultPorts = DEFAULT_PORTS[scheme]
  if (!defaultPorts || authority === undefined) return []
  const [, host = '', port] = /^(?:.*@)?(.*?)(?::(\d+))?$/s.exec(authority.toLowerCase()) ?? []
  const ports = port === undefined ? defaultPorts : [Number(port)]
  return ports.map((port) => `${FAMILIES[scheme] ?? scheme} ${host} ${port}`)
}

function schemeOf(location: ArtifactLocation): string {
  return location.scheme === 'other' ? location.name : location.scheme
}

function authorityOf(location: ArtifactLocation): string | undefined {
  if (location.scheme === 'mlflow-artifacts') return location.host
  return location.scheme === 'other' ? location.authority : undefined
}
