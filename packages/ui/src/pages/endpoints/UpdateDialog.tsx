import type { EndpointConfigList, EndpointDetails } from '@millrace/api/sagemaker-pages'
import { useQuery } from '@tanstack/react-query'
import { planeQuery } from '../../query.ts'
import { CodeBlock } from '../../ui/CodeBlock.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'

interface UpdateDialogProps {
  endpoint: EndpointDetails
  open: boolean
  onClose: () => void
  onUpdate: (configName: string) => Promise<unknown>
}

/** Gives an endpoint another configuration, or says how another version is deployed to it. */
export function UpdateDialog({ endpoint, open, onClose, onUpdate }: UpdateDialogProps) {
  const { name, configName, variants } = endpoint
  const { data } = useQuery({
    ...planeQuery<EndpointConfigList>('/endpoint-configs'),
    enabled: open,
  })
  const others = (data?.configs ?? []).filter((config) => config.name !== configName)
  const model = variants.find(({ version }) => version)?.version?.name ?? 'MODEL'
  return (
    <FormDialog
      title={`Update ${name}`}
      action="Update"
      isWide
      open={open}
      onClose={onClose}
      onSubmit={(form) => onUpdate(chosen(form))}
    >
      {others.length === 0 ? (
        <p>There is no other configuration whose models are here.</p>
      ) : (
        <label className="field">
          <span>Configuration</span>
          <select className="input" name="config" required>
            {others.map((config) => (
              <option key={config.name} value={config.name}>
                {config.name}: {config.models.map(modelText).join(', ')}
              </option>
            ))}
          </select>
        </label>
      )}
      <p className="muted update-note">
        The new servers are started beside those that serve, and take over when all of them answer.
        Another version of a model is deployed by
      </p>
      <CodeBlock
        code={`millrace deployments update -t sagemaker --name ${name} -m models:/${model}/VERSION`}
        label="Copy the command"
      />
    </FormDialog>
  )
}

function modelText({
  modelName,
  version,
}: EndpointConfigList['configs'][number]['models'][number]) {
  return version ? `${version.name} version ${version.version}` : modelName
}

function chosen(form: FormData): string {
  const config = form.get('config')
  if (typeof config === 'string' && config !== '') return config
  throw new Error('There is nothing to choose from yet: deploy a version by the command.')
}
