import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type GitOptions, runGit } from './git-program.ts'
import { withoutCredentials } from './git-source.ts'

/** What a repository says about a directory in it. */
export interface GitFacts {
  /** The root of its working tree. */
  root: string
  commit?: string
  /** Of its first remote, without credentials. */
  repositoryUrl?: string
}

/**
 * The repository that a directory or file is part of; undefined when it is in none. A path that the
 * repository ignores has no commit (MLflow 3.17 `get_git_commit`).
 */
export async function readGitFacts(
  path: string,
  options: GitOptions,
): Promise<GitFacts | undefined> {
  try {
    return await factsOf(path, options)
  } catch {
    // Without git there are no facts, and a project that needs none runs.
    options.signal.throwIfAborted()
    return undefined
  }
}

async function factsOf(path: string, options: GitOptions): Promise<GitFacts | undefined> {
  const directory = (await stat(path)).isDirectory() ? path : dirname(path)
  const git = (...args: string[]) => runGit(directory, args, options)
  const [root, head, ignored, remotes] = await Promise.all([
    git('rev-parse', '--show-toplevel'),
    git('rev-parse', '--verify', '--quiet', 'HEAD'),
    git('check-ignore', '--quiet', '--', path),
    git('remote'),
  ])
  if (!root.ok) return undefined
  const [remote] = remotes.output.split('\n')
  const url = remote ? await git('config', '--get', `remote.${remote}.url`) : undefined
  return {
    root: root.output,
    ...(head.ok && !ignored.ok && { commit: head.output }),
    ...(url?.ok && { repositoryUrl: withoutCredentials(url.output) }),
  }
}

/** Whether a directory's repository has a branch of that name. */
export async function hasBranch(
  directory: string,
  name: string,
  options: GitOptions,
): Promise<boolean> {
  const args = ['rev-parse', '--verify', '--quiet', `refs/heads/${name}`]
  return (await runGit(directory, args, options)).ok
}
