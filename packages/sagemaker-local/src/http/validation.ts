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
  const unreadable = issues.find(isUnreadable)
  if (unreadable) throw serializationError(unreadable)
  const broken = issues.filter(({ code }) => code !== 'custom')
  // What a schema's own check says is already a sentence.
  if (broken.length === 0) throw invalidRequest(issues.map(({ message }) => message).join(' '))
  const count = `${broken.length} validation error${broken.length === 1 ? '' : 's'} detected: `
  throw invalidRequest(count + broken.map(sentence).join('; '))
}

/** Whether a value is of another type than its member, which AWS says before anything else. */
function isUnreadable(issue: Issue): boolean {
  const { input } = issue
  if (input === undefined || input === null) return false
  if (issue.code === 'too_big') return INTEGERS_MAX.has(Number(issue.maximum))
  if (issue.code === 'too_small') return INTEGERS_MAX.has(-1 - Number(issue.minimum))
  if (issue.code === 'invalid_value') return typeof input !== 'string'
  return issue.code === 'invalid_type'
}

/** The largest integers of AWS's types; of the second one, what a number holds. */
const INTEGERS_MAX: ReadonlySet<number> = new Set([2 ** 31 - 1, Number.MAX_SAFE_INTEGER])

function serializationError(issue: Issue): AwsError {
  const at = `The value at '${memberPath(issue.path)}' is `
  if (issue.code === 'too_big' || issue.code === 'too_small') {
    return new AwsError(
      'SerializationException',
      `${at}${shown(issue.input)}, which is no integer of its size`,
    )
  }
  const wanted = issue.code === 'invalid_type' ? issue.expected : 'string'
  const got = Array.isArray(issue.input) ? 'array' : typeof issue.input
  return new AwsError('SerializationException', `${at}of type ${got}, expected ${wanted}`)
}

function sentence(issue: Issue): string {
  const value =
    issue.input === undefined || issue.input === null ? 'null' : `'${shown(issue.input)}'`
  if (issue.code === 'invalid_key') {
    const keys = issue.issues.map(constraint).join(', ')
    return `Value ${value} at '${memberPath(issue.path.slice(0, -1))}' failed to satisfy constraint: Map keys must satisfy constraint: [${keys}]`
  }
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
