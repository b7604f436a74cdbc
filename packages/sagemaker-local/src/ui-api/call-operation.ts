import { parseInput } from '../http/validation.ts'
import type { OperationContext } from '../operations/operation.ts'
import { operations } from '../operations/operations.ts'

/**
 * Calls an operation of SageMaker or CloudWatch Logs as a client would, its checks included.
 *
 * @throws AwsError when it refuses
 */
export async function callOperation(
  context: OperationContext,
  name: string,
  input: object,
): Promise<unknown> {
  const operation = operations.find((known) => known.name === name)
  if (!operation) throw new Error(`There is no operation ${name}.`)
  // The list of operations forgets the type that `operation()` has tied to this schema.
  return operation.run(context, parseInput(operation.input, input) as never)
}
