import { invalid } from '@millrace/api/errors'

/** Where an image is: a registry, a repository in it, and a tag or digest. */
export interface ImageReference {
  /** Host and port, such as `ghcr.io` or `localhost:5001`. */
  registry: string
  repository: string
  /** A tag, or a digest that starts with `sha256:`. */
  reference: string
}

const REPOSITORY =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const DIGEST = /^sha256:[0-9a-f]{64}$/

/**
 * Reads `registry/repository:tag` or `registry/repository@sha256:…`; without a tag, `latest`. The
 * registry has to be named: a name that starts with neither a host nor a port is refused rather
 * than taken to Docker Hub.
 */
export function parseImageReference(text: string): ImageReference {
  const slash = text.indexOf('/')
  const registry = text.slice(0, Math.max(slash, 0))
  if (!/^[A-Za-z0-9.-]+(:\d+)?$/.test(registry) || !/[.:]|^localhost$/.test(registry)) {
    throw invalid(
      `'${text}' names no registry: write it as HOST/REPOSITORY:TAG, such as localhost:5001/tracker:1.0`,
    )
  }
  const rest = text.slice(slash + 1)
  const at = rest.indexOf('@')
  const colon = at === -1 ? rest.lastIndexOf(':') : at
  const repository = colon === -1 ? rest : rest.slice(0, colon)
  const reference = colon === -1 ? 'latest' : rest.slice(colon + 1)
  if (!REPOSITORY.test(repository) || repository.length > 255) {
    throw invalid(
      `'${repository}' of '${text}' is not a repository name (lower case letters, digits, . _ - and /)`,
    )
  }
  if (at === -1 ? !TAG.test(reference) : !DIGEST.test(reference)) {
    throw invalid(`'${reference}' of '${text}' is not a ${at === -1 ? 'tag' : 'SHA-256 digest'}`)
  }
  return { registry, repository, reference }
}
