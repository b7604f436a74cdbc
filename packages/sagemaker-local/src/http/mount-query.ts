import type { FastifyInstance } from 'fastify'
import type { AnyOperation, QueryService } from '../operations/operation.ts'
import { AwsError } from './aws-error.ts'
import type { Caller } from './caller.ts'
import { awsErrorOf } from './mount-json.ts'
import { INNER_PATH } from './protocol.ts'
import { parseInput } from './validation.ts'
import { toXml } from './xml-answer.ts'

const DEPTH_MAX = 16
const NAMESPACE: Record<QueryService, string> = {
  STS: 'https://sts.amazonaws.com/doc/2011-06-15/',
  IAM: 'https://iam.amazonaws.com/doc/2010-05-08/',
  CloudWatch: 'http://monitoring.amazonaws.com/doc/2010-08-01/',
}

/** Serves the query protocol of STS, IAM and CloudWatch: a form with an `Action`, answered by XML. */
export function mountQuery(scope: FastifyInstance, operations: AnyOperation[], caller: Caller) {
  const byName = new Map(
    operations
      .filter(({ service }) => service in NAMESPACE)
      .map((operation) => [operation.name, operation]),
  )
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  scope.setErrorHandler((error, request, reply) => {
    const { code, message, status } = awsErrorOf(error, request.log)
    const Type = status < 500 ? 'Sender' : 'Receiver'
    const answer = { Error: { Type, Code: code, Message: message }, RequestId: request.id }
    return reply.status(status).type('text/xml').send(toXml('ErrorResponse', answer))
  })
  scope.post(INNER_PATH.query, async (request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const { Action, ...members } = fromForm(body.toString('utf8'))
    const operation = byName.get(String(Action))
    const context = caller(request.raw, request.originalUrl, body, operation?.service)
    if (!operation) {
      throw new AwsError(
        'InvalidAction',
        `Could not find operation ${String(Action)} among those that this control plane serves; ` +
          'docs/sagemaker-local.md lists them.',
      )
    }
    const result = await operation.run(context, parseInput(operation.input, members) as never)
    const answer = {
      [`${operation.name}Result`]: result ?? {},
      ResponseMetadata: { RequestId: request.id },
    }
    const xmlns = NAMESPACE[operation.service as QueryService]
    return reply.type('text/xml').send(toXml(`${operation.name}Response`, answer, { xmlns }))
  })
}

type FormValue = string | FormValue[] | { [name: string]: FormValue }

/**
 * The members of a form; `Names.member.1=a&Names.member.2=b` is a list, and of
 * `Items.member.1.Name=a` a list of structures.
 */
function fromForm(body: string): Record<string, FormValue> {
  const members = new Map<string, [string[], string][]>()
  for (const [key, value] of new URLSearchParams(body)) {
    const [name = '', ...path] = key.split('.')
    if (path.length > DEPTH_MAX) {
      throw new AwsError('MalformedInput', `The member ${key.slice(0, 100)} is too deep.`)
    }
    members.set(name, [...(members.get(name) ?? []), [path, value]])
  }
  return Object.fromEntries([...members].map(([name, parts]) => [name, fromParts(parts)]))
}

function fromParts(parts: [string[], string][]): FormValue {
  const whole = parts.find(([path]) => path.length === 0)
  if (whole) return whole[1]
  const inner = new Map<string, [string[], string][]>()
  const isList = parts.every(([path]) => path[0] === 'member')
  for (const [path, value] of parts) {
    const [name = '', ...rest] = isList ? path.slice(1) : path
    inner.set(name, [...(inner.get(name) ?? []), [rest, value]])
  }
  if (!isList) {
    return Object.fromEntries([...inner].map(([name, found]) => [name, fromParts(found)]))
  }
  return [...inner]
    .sort(([one], [other]) => Number(one) - Number(other))
    .map(([, found]) => fromParts(found))
}
