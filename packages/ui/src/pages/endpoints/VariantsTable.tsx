import type { EndpointDetails, EndpointVariant } from '@millrace/api/sagemaker-pages'
import { useState } from 'react'
import { isUnderWay } from '../../components/JobState.tsx'
import { askPlane, planePath, useAction } from '../../query.ts'
import { Field } from '../../ui/Field.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'
import { ModelOfVariant } from './ModelOfVariant.tsx'

/** What an endpoint serves, and which share of the calls each model gets. */
export function VariantsTable({ endpoint }: { endpoint: EndpointDetails }) {
  const { variants, status } = endpoint
  const [isWeighing, setWeighing] = useState(false)
  const serving = variants.filter(({ isNext }) => !isNext)
  const total = serving.reduce((sum, { weight }) => sum + weight, 0)
  return (
    <>
      <table className="list-table variants" aria-label="Variants">
        <thead>
          <tr>
            <th>Variant</th>
            <th>Model</th>
            <th>Image</th>
            <th>Instance</th>
            <th className="number">Servers</th>
            <th className="number">Weight</th>
            <th className="number">Share</th>
          </tr>
        </thead>
        <tbody>
          {variants.map((variant) => (
            <Row key={`${variant.name} ${variant.isNext}`} variant={variant} total={total} />
          ))}
        </tbody>
      </table>
      {serving.length > 1 && (
        <button
          type="button"
          className="button small weights-button"
          disabled={isUnderWay(status)}
          onClick={() => setWeighing(true)}
        >
          Change the weights
        </button>
      )}
      <WeightsDialog
        name={endpoint.name}
        variants={serving}
        open={isWeighing}
        onClose={() => setWeighing(false)}
      />
    </>
  )
}

function Row({ variant, total }: { variant: EndpointVariant; total: number }) {
  const { name, image, instanceType, ready, wanted, weight, isNext } = variant
  return (
    <tr>
      <td>
        {name} {isNext && <span className="chip">starting</span>}
      </td>
      <td>
        <ModelOfVariant variant={variant} />
      </td>
      <td className="variant-image truncate muted" title={image}>
        {image.split('/').at(-1)}
      </td>
      <td className="muted">{instanceType}</td>
      <td className="number">
        {ready}
        <span className="muted"> of {wanted}</span>
      </td>
      <td className="number">{weight}</td>
      <td className="number">
        {!isNext && total > 0 && `${Math.round((100 * weight) / total)} %`}
      </td>
    </tr>
  )
}

interface WeightsDialogProps {
  name: string
  variants: readonly EndpointVariant[]
  open: boolean
  onClose: () => void
}

function WeightsDialog({ name, variants, open, onClose }: WeightsDialogProps) {
  const change = useAction((weights: Record<string, number>) =>
    askPlane(planePath`/endpoints/${name}/weights`, { body: { weights } }),
  )
  return (
    <FormDialog
      title={`Weights of ${name}`}
      action="Change"
      open={open}
      onClose={onClose}
      onSubmit={(form) => change.mutateAsync(readWeights(form, variants))}
    >
      <p className="muted">A variant gets its weight’s share of the calls; 0 is none.</p>
      {variants.map((variant) => (
        <Field
          key={variant.name}
          label={variant.name}
          name={variant.name}
          defaultValue={String(variant.weight)}
          isRequired
        />
      ))}
    </FormDialog>
  )
}

function readWeights(form: FormData, variants: readonly EndpointVariant[]): Record<string, number> {
  return Object.fromEntries(
    variants.map((variant) => {
      const weight = Number(form.get(variant.name))
      if (!(weight >= 0)) throw new Error(`The weight of ${variant.name} must be a number from 0.`)
      return [variant.name, weight]
    }),
  )
}
