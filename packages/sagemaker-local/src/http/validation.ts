import type { z } from 'zod'
import { AwsError, invalidRequest } from './aws-error.ts'

type Issue = z.core.$ZodIssue

/**
 * The input of an operation as its schema reads it.
 *
 * @throws AwsError ValidationException or SerializationException in the words of AWS's services:
 * `1 validation error detected: Value 'x' at 'trainingJobName' failed to satisfy constraint: ...`
 */
export function parseInput<Input extends z.ZodType>(schema: Input, value: unknown) {
  const parsed = schema.safeParse(value, { reportInput: true })
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues
  const wrongType = issues.find(
    (issue) => issue.code === 'invalid_type' && issue.input !== undefined && issue.input !== null,
  )
  if (wrongType) throw serializationError(wrongType)
  // What a schema's own check says is already a sentence.
  const own = issues.find(({ code }) => code === 'custom')
  if (own) throw invalidRequest(own.message)
  const count = `${issues.length} validation error${issues.length === 1 ? '' : 's'} detected: `
  throw invalidRequest(count + issues.map(sentence).join('; '))
}

function serializationError(issue: Issue): AwsError {
  const wanted = issue.code === 'invalid_type' ? issue.expected : 'another type'
  const got = Array.isArray(issue.input) ? 'array' : typeof issue.input
  return new AwsError(
    'SerializationException',
    `The value at '${memberPath(issue.path)}' is of type ${got}, expected ${wanted}`,
  )
}

function sentence(issue: Issue): string {
  const value = issue.input === undefined ? 'null' : `'${shown(issue.input)}'`
  const at = `Value ${value} at '${memberPath(issue.path)}' failed to satisfy constraint: `
  return at + constraint(issue)
}

function constraint(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return 'Member must not be null'
    case 'invalid_format':
      return `Member must satisfy regular expression pattern: ${bare(issue.pattern ?? issue.format)}`
    case 'invalid_value':
      // A union of literals reports a missing member as a wrong value.
      if (issue.input === undefined || issue.input === null) return 'Member must not be null'
      return `Member must satisfy enum value set: [${issue.values.map(String).join(', ')}]`
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `Member must have value greater than or equal to ${issue.minimum}`
        : `Member must have length greater than or equal to ${issue.minimum}`
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `Member must have value less than or equal to ${issue.maximum}`
        : `Member must have length less than or equal to ${issue.maximum}`
    default:
      return issue.message
  }
}

/** `/^(?:x)$/` as AWS prints it: `x`. */
function bare(pattern: string): string {
  return pattern.replace(/^\/?\^?/, '').replace(/\$?\/?[a-z]*$/, '')
}

/** `inputDataConfig.1.member.channelName`: members in camel case, items counted from one. */
function memberPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => {
      if (typeof part === 'number') return `${part + 1}.member`
      const name = String(part)
      return name.slice(0, 1).toLowerCase() + name.slice(1)
    })
    .join('.')
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 300 ? `${text.slice(0, 300)}...` : text
}
