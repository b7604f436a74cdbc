import type { ModelVersionLink } from '@millrace/api/sagemaker-pages'
import { useQuery } from '@tanstack/react-query'
import { artifactUrl } from '../../artifact-urls.ts'
import { decodeText } from '../../components/artifacts/artifact-files.ts'
import { bytesQuery, client, query } from '../../query.ts'
import { filesOfVersion } from '../models/version-files.ts'
import { type InputColumn, readModelExample } from './example-body.ts'

const MLMODEL_BYTES = 500_000
const EXAMPLE_BYTES = 200_000
const NO_VERSION = { name: '', version: '' }

/** How a registered version can be asked: undefined until it is known, or when nothing is. */
export function useModelExample(
  version: ModelVersionLink | undefined,
): { body?: string; columns: InputColumn[] } | undefined {
  const where = version ?? NO_VERSION
  const { data: hasFiles = false } = useQuery({
    ...query(client.modelVersions.get, where),
    enabled: version !== undefined,
    retry: false,
    // What the server cannot list it cannot read either.
    select: ({ model_version }) => filesOfVersion(model_version) !== undefined,
  })
  const source = { kind: 'version', ...where } as const
  const { data: described } = useQuery({
    ...bytesQuery(artifactUrl(source, 'MLmodel'), MLMODEL_BYTES),
    enabled: hasFiles,
    retry: false,
    select: ({ bytes }) => readModelExample(decodeText(bytes) ?? ''),
  })
  const file = described?.file
  const { data: saved, isLoading } = useQuery({
    ...bytesQuery(artifactUrl(source, file?.path ?? ''), EXAMPLE_BYTES),
    enabled: file !== undefined,
    retry: false,
    select: ({ bytes, isCut }) => (isCut ? undefined : decodeText(bytes)),
  })
  if (described === undefined || isLoading) return undefined
  const example = saved && (file?.wrap ? `{"${file.wrap}": ${saved}}` : saved)
  const body = example ?? described.tensorBody
  return { columns: described.columns, ...(body !== undefined && { body: indented(body) }) }
}

function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
