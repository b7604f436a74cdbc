import type { AccessPolicy } from '@millrace/sagemaker/access/access-policies'
import type { AwsCall } from './projects-access-calls.ts'

/**
 * Whether a policy of Allow statements allows a call, by IAM's rules: `*` and `?` stand for any
 * characters in a resource and in the value of StringLike, and all conditions must hold.
 */
export function isAllowed({ Statement }: AccessPolicy, asked: AwsCall): boolean {
  return Statement.some(
    ({ Action, Resource, Condition = {} }) =>
      Action.includes(asked.action) &&
      Resource.some((pattern) => isLike(asked.resource, pattern)) &&
      Object.entries(Condition).every(([operator, keys]) =>
        Object.entries(keys).every(([key, values]) =>
          [values].flat().some((value) => holds(operator, asked.context[key], value)),
        ),
      ),
  )
}

function holds(operator: string, actual: string | undefined, value: string): boolean {
  if (actual === undefined) return false
  if (operator === 'StringEquals') return actual === value
  if (operator === 'StringLike') return isLike(actual, value)
  throw new Error(`The operator ${operator} is not known here.`)
}

function isLike(text: string, pattern: string): boolean {
  const escaped = pattern.replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(text)
}
