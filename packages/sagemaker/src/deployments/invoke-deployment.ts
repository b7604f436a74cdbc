import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime'
import { ApiError, invalid } from '@millrace/api/errors'
import type { DeploymentContext } from './deployment-context.ts'
import type { PredictionInput } from './prediction-input.ts'

/**
 * What a deployment answers, as its server wrote it: `{"predictions": ...}`.
 *
 * @throws ApiError with the model's own message when it refuses the input, and for an answer that is
 * no prediction (MLflow 3.17 `PredictionsResponse.from_json`)
 */
export async function invokeDeployment(
  { aws }: DeploymentContext,
  EndpointName: string,
  { body, contentType }: PredictionInput,
): Promise<string> {
  const text = await invoke().catch((error: unknown) => {
    if (!(error instanceof Error) || error.name !== 'ModelError') throw error
    throw new ApiError(
      'BAD_REQUEST',
      `The deployment '${EndpointName}' refused: ${error.message}`,
      {
        cause: error,
      },
    )
  })
  if (!isPrediction(text)) {
    throw invalid(
      `The deployment '${EndpointName}' answered without a 'predictions' field: ${text.slice(0, 500)}`,
    )
  }
  return text

  async function invoke(): Promise<string> {
    const { Body } = await aws.runtime.send(
      new InvokeEndpointCommand({ EndpointName, Body: body, ContentType: contentType }),
    )
    return Body.transformToString()
  }
}

function isPrediction(text: string): boolean {
  try {
    const answer: unknown = JSON.parse(text)
    return typeof answer === 'object' && answer !== null && 'predictions' in answer
  } catch {
    return false
  }
}
