import { timingSafeEqual } from 'node:crypto'
import { PAGES_PATH, PAGES_TOKEN_HEADER } from '@millrace/api/sagemaker-pages'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { endpointLogGroup } from '../endpoints/fleet-servers.ts'
import type { OperationContext, RestOperation } from '../operations/operation.ts'
import { PROCESSING_LOG_GROUP } from '../processing/processing-job.ts'
import { LOG_GROUP } from '../runner/training/log-group.ts'
import { ListInput } from '../state/list-resources.ts'
import { TRANSFORM_LOG_GROUP } from '../transform/transform-job.ts'
import { callOperation } from '../ui-api/call-operation.ts'
import {
  describeEndpointPage,
  invokeForPage,
  listEndpointConfigs,
  listEndpointRows,
} from '../ui-api/endpoint-pages.ts'
import { type LogPlace, readLogPage } from '../ui-api/log-pages.ts'
import { pageErrorOf } from '../ui-api/page-error.ts'
import { describeProcessingJob, listProcessingJobs } from '../ui-api/processing-pages.ts'
import {
  describeTrainingJob,
  listTrainingJobs,
  retryTrainingJob,
} from '../ui-api/training-pages.ts'
import { describeTransformJob, listTransformJobs } from '../ui-api/transform-pages.ts'
import { describeTuningJob, listTuningJobs } from '../ui-api/tuning-pages.ts'
import type { WatchedCalls } from '../ui-api/watched-calls.ts'
import { AwsError } from './aws-error.ts'
import { awsErrorOf } from './mount-json.ts'
import { parseInput } from './validation.ts'

export interface PagesOptions {
  /** What the tracking server shows that a request is from its pages. */
  token: string
  context: Pick<OperationContext, 'settings' | 'state' | 'objects' | 'images'>
  calls: WatchedCalls
  invoke: RestOperation
}

const BODY_BYTES_MAX = 8 * 2 ** 20
const LIST_SIZE = 50

/** What a page may stop or delete, by the part of its address, with the operation that does it. */
const ACTIONS = {
  'training-jobs': {
    stop: ['StopTrainingJob', 'TrainingJobName'],
    delete: ['DeleteTrainingJob', 'TrainingJobName'],
  },
  'tuning-jobs': {
    stop: ['StopHyperParameterTuningJob', 'HyperParameterTuningJobName'],
    delete: ['DeleteHyperParameterTuningJob', 'HyperParameterTuningJobName'],
  },
  'transform-jobs': { stop: ['StopTransformJob', 'TransformJobName'] },
  'processing-jobs': { stop: ['StopProcessingJob', 'ProcessingJobName'] },
  endpoints: { delete: ['DeleteEndpoint', 'EndpointName'] },
} as const

const Retry = z.object({
  name: z.string(),
  hyperParameters: z.record(z.string(), z.string()).optional(),
  environment: z.record(z.string(), z.string()).optional(),
})
const Weights = z.object({ weights: z.record(z.string(), z.number()) })
const Update = z.object({ configName: z.string() })
const Invoke = z.object({
  body: z.string(),
  contentType: z.string(),
  accept: z.string().optional(),
  variant: z.string().optional(),
})

type Named = FastifyRequest<{ Params: { name: string } }>

/** The JSON that the pages about jobs and endpoints live on, for the tracking server alone. */
export function mountPages(scope: FastifyInstance, options: PagesOptions): void {
  const { token, calls } = options
  const context: OperationContext = {
    ...options.context,
    region: options.context.settings.region,
    accessKeyId: undefined,
    userAgent: 'millrace-pages',
  }
  scope.addHook('onRequest', async (request) => {
    if (!isToken(request.headers[PAGES_TOKEN_HEADER], token)) {
      throw new AwsError('AccessDenied', 'This is for the pages of the tracking server only.', {
        status: 403,
      })
    }
  })
  scope.setErrorHandler((error, request, reply) => {
    const { status, ...body } = pageErrorOf(awsErrorOf(error, request.log))
    return reply.status(status).send(body)
  })
  const get = (path: string, answer: (request: Named) => unknown) =>
    scope.get<{ Params: { name: string } }>(PAGES_PATH + path, async (request) => answer(request))

  get('/training-jobs', (request) => listTrainingJobs(context, listInput(request)))
  get('/training-jobs/:name', ({ params }) => describeTrainingJob(context, params.name))
  get('/tuning-jobs', (request) => listTuningJobs(context, listInput(request)))
  get('/tuning-jobs/:name', ({ params }) => describeTuningJob(context, params.name))
  get('/transform-jobs', (request) => listTransformJobs(context, listInput(request)))
  get('/transform-jobs/:name', ({ params }) => describeTransformJob(context, params.name))
  get('/processing-jobs', (request) => listProcessingJobs(context, listInput(request)))
  get('/processing-jobs/:name', ({ params }) => describeProcessingJob(context, params.name))
  get('/endpoints', (request) => listEndpointRows(context, listInput(request)))
  get('/endpoint-configs', () => listEndpointConfigs(context))
  get('/endpoints/:name', ({ params }) => describeEndpointPage(context, params.name, calls))

  const log = (path: string, place: (name: string) => LogPlace) =>
    get(`${path}/:name/log`, ({ params, query }) =>
      readLogPage(context, place(params.name), LogQuery.parse(query)),
    )
  log('/training-jobs', (name) => ({ group: LOG_GROUP, prefix: `${name}/` }))
  log('/transform-jobs', (name) => ({ group: TRANSFORM_LOG_GROUP, prefix: `${name}/` }))
  log('/processing-jobs', (name) => ({ group: PROCESSING_LOG_GROUP, prefix: `${name}/` }))
  log('/endpoints', (name) => ({
    group: endpointLogGroup(name),
    prefix: '',
    isNewestFirst: true,
  }))

  mountActions(scope, context, options)
}

const LogQuery = z.object({ stream: z.string().optional(), next: z.string().optional() })
const ListQuery = z.object({ contains: z.string().optional(), next: z.string().optional() })

function listInput({ query }: FastifyRequest) {
  const { contains, next } = ListQuery.parse(query)
  return parseInput(ListInput, {
    MaxResults: LIST_SIZE,
    ...(contains === undefined ? {} : { NameContains: contains }),
    ...(next === undefined ? {} : { NextToken: next }),
  })
}

function mountActions(
  scope: FastifyInstance,
  context: OperationContext,
  { invoke }: PagesOptions,
): void {
  const post = (path: string, answer: (request: Named) => Promise<unknown>) =>
    scope.post<{ Params: { name: string } }>(
      PAGES_PATH + path,
      { bodyLimit: BODY_BYTES_MAX },
      async (request) => (await answer(request)) ?? {},
    )
  for (const [kind, actions] of Object.entries(ACTIONS)) {
    for (const [action, [operation, member]] of Object.entries(actions)) {
      post(`/${kind}/:name/${action}`, ({ params }) =>
        callOperation(context, operation, { [member]: params.name }),
      )
    }
  }
  post('/training-jobs/:name/retry', ({ params, body }) =>
    retryTrainingJob(context, params.name, exact(parseInput(Retry, body))),
  )
  post('/endpoints/:name/weights', ({ params, body }) =>
    callOperation(context, 'UpdateEndpointWeightsAndCapacities', {
      EndpointName: params.name,
      DesiredWeightsAndCapacities: Object.entries(parseInput(Weights, body).weights).map(
        ([VariantName, DesiredWeight]) => ({ VariantName, DesiredWeight }),
      ),
    }),
  )
  post('/endpoints/:name/update', ({ params, body }) =>
    callOperation(context, 'UpdateEndpoint', {
      EndpointName: params.name,
      EndpointConfigName: parseInput(Update, body).configName,
    }),
  )
  post('/endpoints/:name/invoke', ({ params, body, raw }) => {
    const gone = new AbortController()
    raw.once('close', () => {
      if (!raw.complete) gone.abort()
    })
    const request = exact(parseInput(Invoke, body))
    return invokeForPage(context, invoke, { name: params.name, request, signal: gone.signal })
  })
}

/** A value whose optional members are left out rather than undefined, as JSON has them. */
function exact<Value extends object>(value: Value) {
  return value as { [Name in keyof Value]: Exclude<Value[Name], undefined> }
}

function isToken(given: string | string[] | undefined, token: string): boolean {
  const [one, other] = [Buffer.from(String(given)), Buffer.from(token)]
  return one.length === other.length && timingSafeEqual(one, other)
}
