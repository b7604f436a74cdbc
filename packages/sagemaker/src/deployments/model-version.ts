import { ApiError, notFound } from '@millrace/api/errors'
import { type Client, createClient } from '@millrace/client/client'
import { parseModelUri } from '@millrace/models/model-uri'
import type { TrackingServer } from '@millrace/models/tracking-server'

/** A registered model's version. */
export interface ModelVersionId {
  name: string
  version: string
}

/** The tag of a model version that holds the ARNs of the endpoints that serve it, by comma. */
export const ENDPOINT_TAG = 'millrace.sagemaker.endpoint'

/**
 * The version that a URI names by number, alias, stage or as the latest; undefined for URIs of other
 * kinds and without a tracking server.
 */
export async function findVersion(
  uri: string,
  tracking: TrackingServer | undefined,
): Promise<ModelVersionId | undefined> {
  const parsed = parseModelUri(uri)
  if (!tracking || !('name' in parsed)) return undefined
  const { name } = parsed
  if (parsed.kind === 'version') return { name, version: parsed.version }
  const { registeredModels } = clientOf(tracking)
  if (parsed.kind === 'alias') {
    const { model_version } = await registeredModels.getVersionByAlias({
      name,
      alias: parsed.alias,
    })
    return { name, version: model_version.version }
  }
  const stages = parsed.kind === 'stage' ? { stages: [parsed.stage] } : {}
  const { model_versions = [] } = await registeredModels.getLatestVersions({ name, ...stages })
  if (model_versions.length === 0) throw notFound(`No versions of model with name '${name}' found`)
  return { name, version: `${Math.max(...model_versions.map(({ version }) => Number(version)))}` }
}

/** Where the files of a version are. */
export async function versionSource(id: ModelVersionId, tracking: TrackingServer): Promise<string> {
  const { artifact_uri } = await clientOf(tracking).modelVersions.getDownloadUri(id)
  return artifact_uri
}

/** Makes a version know that an endpoint serves it. */
export async function addEndpointTag(
  tracking: TrackingServer,
  id: ModelVersionId,
  endpointArn: string,
): Promise<void> {
  const client = clientOf(tracking)
  const arns = endpointsOf((await client.modelVersions.get(id)).model_version)
  if (arns.includes(endpointArn)) return
  await client.modelVersions.setTag({
    ...id,
    key: ENDPOINT_TAG,
    value: [...arns, endpointArn].join(','),
  })
}

/**
 * Makes every version but those named forget that an endpoint serves it.
 *
 * @returns the versions that had known it
 */
export async function removeEndpointTag(
  tracking: TrackingServer,
  endpointArn: string,
  kept: readonly ModelVersionId[] = [],
): Promise<ModelVersionId[]> {
  const client = clientOf(tracking)
  const removed: ModelVersionId[] = []
  for (const found of await versionsOf(client, endpointArn)) {
    const { name, version } = found
    if (kept.some((one) => one.name === name && one.version === version)) continue
    const others = endpointsOf(found).filter((arn) => arn !== endpointArn)
    if (others.length === 0)
      await client.modelVersions.deleteTag({ name, version, key: ENDPOINT_TAG })
    else {
      const value = others.join(',')
      await client.modelVersions.setTag({ name, version, key: ENDPOINT_TAG, value })
    }
    removed.push({ name, version })
  }
  return removed
}

async function versionsOf(client: Client, endpointArn: string) {
  const { model_versions = [] } = await client.modelVersions.search({
    filter: `tags.\`${ENDPOINT_TAG}\` LIKE '%${endpointArn}%'`,
  })
  return model_versions.filter((version) => endpointsOf(version).includes(endpointArn))
}

function endpointsOf({ tags = [] }: { tags?: { key: string; value: string }[] | undefined }) {
  const value = tags.find(({ key }) => key === ENDPOINT_TAG)?.value ?? ''
  return value === '' ? [] : value.split(',')
}

/** A client of a tracking server that says in one sentence when nobody answers there. */
export function clientOf({ url, headers }: TrackingServer): Client {
  return createClient({
    baseUrl: url,
    headers,
    fetch: (address, init) =>
      fetch(address, init).catch((cause: unknown) => {
        throw new ApiError(
          'TEMPORARILY_UNAVAILABLE',
          `No tracking server answers at ${url}: start one with \`millrace server\`, or set ` +
            'MLFLOW_TRACKING_URI to the address of yours.',
          { cause },
        )
      }),
  })
}
