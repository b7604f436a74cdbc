import type { JobInput } from '@millrace/api/sagemaker-pages'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { CopyButton } from '../../ui/CopyButton.tsx'

interface JobPlacesProps {
  inputs: readonly JobInput[]
  outputUri?: string
  outputs?: readonly JobInput[]
  modelUri?: string
}

/** Where a job's data comes from and where what it makes goes. */
export function JobPlaces({ inputs, outputUri, outputs = [], modelUri }: JobPlacesProps) {
  return (
    <FoldedSection title="Inputs and outputs">
      <table className="pairs">
        <tbody>
          {inputs.map(({ channel, uri, mode }) => (
            <Place key={channel} name={mode ? `${channel} (${mode})` : channel} uri={uri} />
          ))}
          {outputUri !== undefined && <Place name="Output" uri={outputUri} />}
          {outputs.map(({ channel, uri }) => (
            <Place key={channel} name={`${channel} (output)`} uri={uri} />
          ))}
          {modelUri !== undefined && <Place name="Model" uri={modelUri} />}
        </tbody>
      </table>
    </FoldedSection>
  )
}

function Place({ name, uri }: { name: string; uri: string }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        <code>{uri}</code> <CopyButton text={uri} label={`Copy the address of ${name}`} />
      </td>
    </tr>
  )
}
