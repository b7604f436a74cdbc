import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { type GitOptions, runGit } from './git-program.ts'

// No option, no helper that is a command (`ext::sh`), nothing that ends a line.
const URL_FORM = /^(?:https?|ssh|git|file):\/\/(?!-)[^\s\p{Cc}]+$/u
const SCP_FORM = /^(?!-)[\w.-]+@(?!-)[\w.-]+:(?!-)(?!:)[^\s\p{Cc}]+$/u
const VERSION_FORM = /^(?!-)(?!.*\.\.)(?!.*@\{)[\w][\w./@+=#-]*$/u

/** Whether a URI has a form that git may be given. */
export function isGitUrl(uri: string): boolean {
  return (URL_FORM.test(uri) && !/^\w+:\/\/[^/]*@-/.test(uri)) || SCP_FORM.test(uri)
}

/**
 * Copies one version of a repository into an empty directory, without its history: a commit, a
 * branch or a tag, or what the remote's HEAD is at. A branch is checked out by its name.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the URL or version is none, or cannot be had
 */
export async function fetchRepository(
  url: string,
  version: string | undefined,
  directory: string,
  options: GitOptions,
): Promise<void> {
  if (version !== undefined && !VERSION_FORM.test(version)) {
    throw invalid(`'${version}' is no commit, branch or tag.`)
  }
  const git = (...args: string[]) => runGit(directory, args, options)
  await git('init', '--quiet')
  await git('remote', 'add', '--', 'origin', url)
  const shown = withoutCredentials(url)
  if (version === undefined) {
    const { ok, complaint } = await git('fetch', '--quiet', '--depth', '1', 'origin', 'HEAD')
    if (!ok) throw invalid(`The project at ${shown} cannot be fetched: ${complaint}`)
    const checkedOut = await git('checkout', '--quiet', '--detach', 'FETCH_HEAD')
    if (!checkedOut.ok) throw invalid(`${shown} cannot be checked out: ${checkedOut.complaint}`)
  } else {
    const fetched = await git('fetch', '--quiet', '--depth', '1', '--tags', 'origin', version)
    // Servers may refuse to look up a commit by its hash, and none knows the short form of one.
    const all = fetched.ok ? fetched : await git('fetch', '--quiet', '--tags', 'origin')
    const checkedOut = await git('checkout', '--quiet', version, '--')
    if (!all.ok || !checkedOut.ok) {
      throw invalid(
        `Unable to checkout version '${version}' of git repo ${shown} - please ensure that the ` +
          `version exists in the repo. ${fetched.complaint}`,
      )
    }
  }
  if (!existsSync(join(directory, '.gitmodules'))) return
  // A submodule's URL is the repository's word, which may not reach for this machine's files.
  const remoteOnly = { ...options, allowsFiles: false }
  const update = ['submodule', 'update', '--quiet', '--init', '--recursive', '--depth', '1']
  const { ok, complaint } = await runGit(directory, update, remoteOnly)
  if (!ok) throw invalid(`The submodules of ${shown} cannot be fetched: ${complaint}`)
}

/** A URL without the user and password in it (MLflow 3.17 `_strip_credentials_from_url`). */
export function withoutCredentials(url: string): string {
  return url.replace(/^([a-z][\w+.-]*:\/\/)[^/?#]*@/i, '$1')
}
