import type { EndpointVariant } from '@millrace/api/sagemaker-pages'
import { VersionLink } from '../../components/VersionLink.tsx'

/** What a variant serves: a registered version where it is known, else the model's name. */
export function ModelOfVariant({ variant: { version, modelName } }: { variant: EndpointVariant }) {
  return version ? <VersionLink version={version} /> : <code>{modelName}</code>
}
