import { z } from 'zod'
import { listEndpoints } from '../endpoints/endpoint.ts'
import { checkModelData, hasModelFile } from '../endpoints/model-data.ts'
import { resolveServing } from '../endpoints/serving-image.ts'
import { invalidRequest } from '../http/aws-error.ts'
import { deleteResource, insertResource } from '../state/resource-store.ts'
import { upsertTags } from '../state/tag-store.ts'
import { alreadyExisting, getResource } from './absent-resource.ts'
import { inAwsWords } from './check-storage.ts'
import { listOperation } from './list-operation.ts'
import { type Container, CreateModelInput, type ModelDocument } from './model-input.ts'
import { type OperationContext, operation } from './operation.ts'
import { ResourceName, resourceArn, seconds } from './resource-names.ts'

const ByName = z.object({ ModelName: ResourceName() })

export const modelOperations = [
  operation({
    service: 'SageMaker',
    name: 'CreateModel',
    input: CreateModelInput,
    async run(context, { Tags = [], ...input }) {
      const { state } = context
      const arn = resourceArn(context, 'model', input.ModelName)
      await checkContainer(context, onlyContainer(input))
      const nowMs = Date.now()
      const document: ModelDocument = {
        ...input,
        ...(input.PrimaryContainer
          ? { PrimaryContainer: { Mode: 'SingleModel' as const, ...input.PrimaryContainer } }
          : {}),
        ModelArn: arn,
        CreationTime: seconds(nowMs),
        EnableNetworkIsolation: input.EnableNetworkIsolation ?? false,
      }
      state.transaction(() => {
        const isNew = insertResource(state, {
          kind: 'model',
          name: input.ModelName,
          arn,
          status: 'InService',
          createdMs: nowMs,
          modifiedMs: nowMs,
          document,
          progress: {},
        })
        if (!isNew) throw alreadyExisting('model', arn)
        upsertTags(state, arn, Tags)
      })
      return { ModelArn: arn }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DescribeModel',
    input: ByName,
    run(context, { ModelName }) {
      return getResource<ModelDocument, object>(context, 'model', ModelName).document
    },
  }),
  listOperation<ModelDocument>({
    name: 'ListModels',
    kind: 'model',
    member: 'Models',
    summaryOf: ({ document }) => ({
      ModelName: document.ModelName,
      ModelArn: document.ModelArn,
      CreationTime: document.CreationTime,
    }),
  }),
  operation({
    service: 'SageMaker',
    name: 'DeleteModel',
    input: ByName,
    run(context, { ModelName }) {
      getResource(context, 'model', ModelName)
      // An endpoint in service has its own copy of what it runs, and the SageMaker SDK deletes the
      // model first.
      const [user] = listEndpoints(context, ({ document, progress }) => {
        const isStarting = ['Creating', 'Updating'].includes(document.EndpointStatus)
        const variants = progress.next?.variants ?? []
        return isStarting && variants.some(({ variant }) => variant.ModelName === ModelName)
      })
      if (user) {
        throw invalidRequest(
          `Cannot delete model "${resourceArn(context, 'model', ModelName)}": the endpoint "${user.arn}" is ` +
            `${user.document.EndpointStatus} with it. Wait until it is InService.`,
        )
      }
      deleteResource(context.state, 'model', ModelName)
      return undefined
    },
  }),
]

function onlyContainer({ PrimaryContainer, Containers }: CreateModelInput): Container {
  if ((PrimaryContainer === undefined) === (Containers === undefined)) {
    throw invalidRequest('A model takes either a PrimaryContainer or a list of Containers.')
  }
  const [container, ...others] = PrimaryContainer ? [PrimaryContainer] : (Containers ?? [])
  if (!container) throw invalidRequest('A model needs a container.')
  if (others.length > 0) {
    throw invalidRequest(
      'A model of several Containers (an inference pipeline) is not served by this control plane.',
    )
  }
  return container
}

async function checkContainer(
  { objects, settings, images }: OperationContext,
  container: Container,
): Promise<void> {
  const { Image, Mode, ModelPackageName, Environment } = container
  if (Mode === 'MultiModel') {
    throw invalidRequest('The Mode MultiModel is not served by this control plane.')
  }
  if (ModelPackageName !== undefined) {
    throw invalidRequest('A ModelPackageName is not served by this control plane: name an Image.')
  }
  if (Image === undefined || Image === '') {
    throw invalidRequest('The container of a model needs an Image.')
  }
  await inAwsWords(async () => {
    checkModelData(objects, container)
    await resolveServing({
      image: Image,
      imagesFile: settings.imagesFile,
      images,
      hasMlmodel: await hasModelFile(objects, container, ['MLmodel']),
      hasScript: Environment?.['SAGEMAKER_PROGRAM'] !== undefined,
    })
  })
}
