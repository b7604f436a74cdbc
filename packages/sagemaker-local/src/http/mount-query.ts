import type { FastifyInstance } from 'fastify'
import type { AnyOperation, QueryService } from '../operations/operation.ts'
import { AwsError } from './aws-error.ts'
import type { Caller } from './caller.ts'
import { awsErrorOf } from './mount-json.ts'
import { INNER_PATH } from './protocol.ts'
import { parseInput } from './validation.ts'
import { toXml } from './xml-answer.ts'

const NAMESPACE: Record<QueryService, string> = {
  STS: 'https://sts.amazonaws.com/doc/2011-06-15/',
  IAM: 'https://iam.amazonaws.com/doc/2010-05-08/',
}

/** Serves the query protocol of STS and IAM: a form with an `Action`, answered by XML. */
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
    const context = caller(request.raw, request.originalUrl, body)
    const { Action, ...members } = fromForm(body.toString('utf8'))
    const operation = byName.get(String(Action))
    if (!operation) {
      throw new AwsError('InvalidAction', `Could not find operation ${String(Action)}`)
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

type FormValue = string | string[]

/** The members of a form; `Names.member.1=a&Names.member.2=b` is a list. */
function fromForm(body: string): Record<string, FormValue> {
  const members: Record<string, FormValue> = {}
  for (const [key, value] of new URLSearchParams(body)) {
    const list = /^(\w+)\.member\.\d+$/.exec(key)?.[1]
    if (list === undefined) members[key] = value
    else members[list] = [...(Array.isArray(members[list]) ? members[list] : []), value]
  }
  return members
}
