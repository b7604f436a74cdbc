import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { requirementLines } from '@millrace/models/requirement'

export interface ExpandedRequirements {
  lines: string[]
  constraints: string[]
  /** Whether a line names a path, so that what it installs depends on where it stands. */
  hasPaths: boolean
}

const DEPTH_MAX = 10
const REFERENCE = /^(?:-r|-c|--requirement|--constraint)(?:\s*=\s*|\s+|(?=\S))(\S.*)$/
const PATH =
  /^(?:-e|--editable)\b|^\.{0,2}\/|^\.{1,2}(?:$|\[)|@\s*file:|^file:|\.(?:whl|tar\.gz|zip)$/

/**
 * Replaces `-r FILE` and `-c FILE` by what the files say, so that an environment's lines are all that
 * it depends on. A project's requirements may be whatever pip takes: whoever runs a project runs its
 * code anyway.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming a file that is not there
 */
export async function expandRequirements(
  lines: string[],
  directory: string,
): Promise<ExpandedRequirements> {
  const expanded: ExpandedRequirements = { lines: [], constraints: [], hasPaths: false }
  await expand(lines, directory, { into: expanded.lines, expanded, depth: 0 })
  expanded.hasPaths = expanded.lines.some((line) => PATH.test(line))
  return expanded
}

interface Target {
  into: string[]
  expanded: ExpandedRequirements
  depth: number
}

async function expand(lines: string[], directory: string, target: Target): Promise<void> {
  for (const line of lines) {
    const [, file] = REFERENCE.exec(line) ?? []
    if (file === undefined) {
      target.into.push(line)
      continue
    }
    if (target.depth >= DEPTH_MAX)
      throw invalid(`Requirement files include one another: '${file}'.`)
    const path = resolve(directory, file.replace(/^(['"])(.*)\1$/, '$2'))
    const text = await readFile(path, 'utf8').catch((error: Error) => {
      throw invalid(
        `The requirements file '${file}' of the project cannot be read: ${error.message}`,
      )
    })
    const into = /^(?:-c|--c)/.test(line) ? target.expanded.constraints : target.into
    const deeper = { ...target, into, depth: target.depth + 1 }
    await expand(requirementLines(text), dirname(path), deeper)
  }
}
