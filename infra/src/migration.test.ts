import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startProgram, updateProgram } from './instance-program.ts'

const SOURCE = readFileSync(new URL('run-migration.cjs', import.meta.url), 'utf8')

type Handler = (event: object) => Promise<void>
type Answer = { tasks: object[]; failures?: object[] }

let server: Server
let responses: Record<string, unknown>[]
let url: string
beforeEach(async () => {
  responses = []
  server = createServer(async (request, response) => {
    responses.push(JSON.parse(await text(request)) as Record<string, unknown>)
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

/** The program as Lambda loads it, with an ECS that answers these in turn; and what ECS was asked. */
function load(answers: Answer[]): { handler: Handler; asked: Record<string, unknown>[] } {
  const asked: Record<string, unknown>[] = []
  class Command {
    input: Record<string, unknown>
    constructor(input: Record<string, unknown>) {
      this.input = input
    }
  }
  class ECSClient {
    send({ input }: Command): Promise<Answer> {
      asked.push(input)
      return Promise.resolve(answers.shift() ?? { tasks: [] })
    }
  }
  const ecs = { ECSClient, RunTaskCommand: Command, DescribeTasksCommand: Command }
  const exports: { handler?: Handler } = {}
  const program = new Function('exports', 'require', 'process', SOURCE) as (
    ...parts: unknown[]
  ) => void
  program(exports, () => ecs, { env: { WAIT_MS: '1' } })
  if (!exports.handler) throw new Error('The program exports no handler')
  return { handler: exports.handler, asked }
}

const event = (RequestType: string) => ({
  RequestType,
  ResponseURL: url,
  StackId: 's',
  RequestId: 'r',
  LogicalResourceId: 'Migration',
  ResourceProperties: { Cluster: 'c', TaskDefinition: 't:2', Subnets: ['a'], SecurityGroup: 'g' },
})
const started = { tasks: [{ taskArn: 'arn' }] }
const running = { tasks: [{ lastStatus: 'RUNNING' }] }
const stopped = (exitCode: number | undefined, reason?: string) => ({
  tasks: [
    { lastStatus: 'STOPPED', stoppedReason: reason, containers: [{ name: 'server', exitCode }] },
  ],
})

describe('the program of the migration', () => {
  test('runs millrace db upgrade in the new task and waits for its end', async () => {
    const { handler, asked } = load([started, running, stopped(0)])

    await handler(event('Update'))

    expect(asked[0]).toMatchObject({
      cluster: 'c',
      taskDefinition: 't:2',
      overrides: { containerOverrides: [{ name: 'server', command: ['db', 'upgrade'] }] },
      networkConfiguration: { awsvpcConfiguration: { assignPublicIp: 'DISABLED' } },
    })
    expect(asked).toHaveLength(3)
    expect(responses).toMatchObject([{ Status: 'SUCCESS', PhysicalResourceId: 'Migration' }])
  })

  test.each([
    ['the upgrade fails', [started, stopped(3)], 'millrace db upgrade: it failed (exit 3)'],
    [
      'the image is not there',
      [started, stopped(undefined, 'CannotPullContainerError')],
      'CannotPull',
    ],
    ['there is no room for it', [{ tasks: [], failures: [{ reason: 'RESOURCE' }] }], 'RESOURCE'],
  ])('tells CloudFormation why when %s', async (_when, answers, reason) => {
    const { handler } = load(answers)

    await expect(handler(event('Create'))).rejects.toThrow(reason)
    expect(responses).toMatchObject([{ Status: 'FAILED' }])
    expect(responses[0]?.['Reason']).toContain(reason)
  })

  test('starts nothing when the stack is deleted', async () => {
    const { handler, asked } = load([])

    await handler(event('Delete'))

    expect(asked).toEqual([])
    expect(responses).toMatchObject([{ Status: 'SUCCESS' }])
  })

  test('fits into a template', () => {
    expect(SOURCE.length).toBeLessThan(4096)
  })
})

describe('the programs of a single instance', () => {
  const settings = {
    image: '1.dkr.ecr.r.amazonaws.com/mlflow@sha256:a',
    bucket: 'b',
    logGroup: 'l',
    database: { environment: { MILLRACE_DATABASE_HOST: 'h' }, secretArn: 'arn:secret' },
  }

  test('listen to the instance alone, and format the data disk only when it is empty', () => {
    expect(updateProgram('r', settings)).toContain('MILLRACE_HOST=127.0.0.1')
    expect(startProgram('r').find((line) => line.includes('mkfs'))).toMatch(/^blkid \S+ \|\| mkfs/)
  })

  test('name the secret and never its value, and keep that off the disk and the process list', () => {
    const program = updateProgram('r', settings).join('\n')
    const run = startProgram('r').find((line) => line.startsWith('ExecStart='))

    expect(program).toContain('> /run/millrace/secret.env')
    expect(run).toContain('--env-file /run/millrace/secret.env')
    expect(run).not.toMatch(/PASSWORD|--env /)
    expect(run).toContain('--read-only')
  })
})
