import { useQuery } from '@tanstack/react-query'
import { artifactUrl } from '../../artifact-urls.ts'
import { decodeText } from '../../components/artifacts/artifact-files.ts'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { bytesQuery } from '../../query.ts'
import { readModelDescription, type SignatureField } from './model-signature.ts'

const MLMODEL_BYTES = 500_000

/** What goes into the model and what comes out, when its MLmodel file says so. */
export function SignatureSection({ name, version }: { name: string; version: string }) {
  const url = artifactUrl({ kind: 'version', name, version }, 'MLmodel')
  const { data } = useQuery({
    ...bytesQuery(url, MLMODEL_BYTES),
    retry: false,
    select: ({ bytes }) => readModelDescription(decodeText(bytes) ?? ''),
  })
  if (data === undefined) return null
  const { flavors, inputs, outputs, params } = data
  if (inputs.length + outputs.length + params.length + flavors.length === 0) return null
  return (
    <FoldedSection title="Signature" actions={<span className="muted">{flavors.join(', ')}</span>}>
      <div className="signature">
        <Fields title="Inputs" fields={inputs} />
        <Fields title="Outputs" fields={outputs} />
        <Fields title="Params" fields={params} />
      </div>
    </FoldedSection>
  )
}

function Fields({ title, fields }: { title: string; fields: readonly SignatureField[] }) {
  if (fields.length === 0) return null
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <table className="pairs">
        <tbody>
          {fields.map((field, index) => (
            <tr key={index}>
              <th scope="row">{field.name}</th>
              <td>
                <code>{field.type}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
