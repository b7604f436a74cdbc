import { parseArtifactPath, percentDecode } from './artifact-path.ts'
import type { HttpRoot } from './http-store.ts'
import type { ArtifactLocation, OtherLocation, ProxiedLocation } from './location.ts'

/** A server that artifacts are behind, and what to show it. */
export interface ArtifactServer {
  /** Origin and path prefix, without a slash at the end. */
  url: string
  headers: Readonly<Record<string, string>>
}

const ROUTE = /^(.*?)\/?api\/2\.0\/mlflow-artifacts\/artifacts(?:\/|$)/

/**
 * Where a location is behind the artifact routes of a server: that of `mlflow-artifacts:/`, one that
 * the location names, or the one of a URL with `/api/2.0/mlflow-artifacts/artifacts` in it. The
 * headers of `server` go to its own origin alone. Undefined for other locations.
 */
export function findHttpRoot(
  location: ArtifactLocation,
  server: ArtifactServer | undefined,
): HttpRoot | undefined {
  if (location.scheme === 'mlflow-artifacts') return proxiedRoot(location, server)
  if (location.scheme === 'other' && /^https?$/.test(location.name))
    return urlRoot(location, server)
  return undefined
}

function proxiedRoot({ host, segments }: ProxiedLocation, server: ArtifactServer | undefined) {
  if (!server) return undefined
  if (host === undefined) return { ...server, segments }
  return { ...serverAt(`${new URL(server.url).protocol}//${host}`, server), segments }
}

function urlRoot({ name, authority, segments }: OtherLocation, server: ArtifactServer | undefined) {
  const path = segments.join('/')
  const [matched, prefix] = ROUTE.exec(path) ?? []
  if (matched === undefined) return undefined
  const url = `${name}://${authority}${prefix ? `/${prefix}` : ''}`
  const below = parseArtifactPath(percentDecode(path.slice(matched.length)))
  return { ...serverAt(url, server), segments: below }
}

function serverAt(url: string, server: ArtifactServer | undefined): ArtifactServer {
  const isSame = server !== undefined && new URL(url).origin === new URL(server.url).origin
  return { url, headers: isSame ? server.headers : {} }
}
