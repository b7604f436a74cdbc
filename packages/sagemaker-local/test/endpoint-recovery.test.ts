import { rm } from 'node:fs/promises'
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'
import {
  DeleteEndpointCommand,
  DescribeEndpointCommand,
  ListEndpointsCommand,
  UpdateEndpointCommand,
} from '@aws-sdk/client-sagemaker'
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime'
import { expect, test, vi } from 'vitest'
import { z } from 'zod'
import { type ServingClients, startServing } from './endpoint-images.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'
import { until } from './training-client.ts'

// Processes are started, killed and started again, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 90_000 })

const Told = z.object({ name: z.string(), pid: z.number(), port: z.string() })

async function ask({ runtime }: ServingClients, EndpointName: string) {
  const { Body } = await runtime.send(new InvokeEndpointCommand({ EndpointName, Body: '1' }))
  return Told.parse(JSON.parse(Buffer.from(Body).toString()))
}

/** Kills the runner and waits for the next one. */
async function killRunner({ plane }: TestPlane): Promise<void> {
  const pid = await until(async () => plane.runner?.pid())
  process.kill(pid, 'SIGKILL')
  await until(async () => {
    const next = plane.runner?.pid()
    return (next !== undefined && next !== pid) || undefined
  })
}

test('an endpoint answers while its runner is dead, and the next runner adopts its servers', async () => {
  await using running = await startTestPlane()
  const clients = await startServing(running)
  await clients.createModel('kept', { NAME: 'kept' })
  await clients.createConfig('kept', [{ ModelName: 'kept' }])
  await clients.createEndpoint('kept', 'kept')
  await clients.settled('kept')
  const before = await ask(clients, 'kept')

  await killRunner(running)
  expect(await ask(clients, 'kept')).toEqual(before)
  await clients.runtime
    .send(new InvokeEndpointCommand({ EndpointName: 'kept', Body: 'exit' }))
    .catch(() => undefined)
  const after = await until(() => ask(clients, 'kept').catch(() => undefined))

  expect(after.port).not.toBe(before.port)
  await clients.sagemaker.send(new DeleteEndpointCommand({ EndpointName: 'kept' }))
  await until(() =>
    clients.sagemaker.send(new DescribeEndpointCommand({ EndpointName: 'kept' })).then(
      () => undefined,
      () => true,
    ),
  )
  await rm(`${running.directory}-image`, { recursive: true, force: true })
})

test('a control plane ends while an endpoint is being made', async () => {
  const running = await startTestPlane()
  const clients = await startServing(running)
  await clients.createModel('mute', { PING: '500' })
  await clients.createConfig('mute', [{ ModelName: 'mute' }])
  await clients.createEndpoint('mute', 'mute')
  const logs = new CloudWatchLogsClient(running.client)
  const logGroupName = '/aws/sagemaker/Endpoints/mute'
  await until(async () => {
    const asked = new FilterLogEventsCommand({ logGroupName, filterPattern: '"serve begins"' })
    const { events = [] } = await logs.send(asked).catch(() => ({ events: [] }))
    return events[0]
  })

  await running[Symbol.asyncDispose]()

  await expect(clients.sagemaker.send(new ListEndpointsCommand())).rejects.toThrow('ECONNREFUSED')
  await rm(`${running.directory}-image`, { recursive: true, force: true })
})

test('a runner that is killed during a creation and an update carries them to their ends', async () => {
  await using running = await startTestPlane()
  const clients = await startServing(running)
  for (const NAME of ['one', 'two']) {
    await clients.createModel(NAME, { NAME })
    await clients.createConfig(NAME, [{ ModelName: NAME, InitialInstanceCount: 2 }])
  }
  const slow = [{ Key: 'millrace:start-delay-seconds', Value: '0.5' }]
  await clients.createEndpoint('moved', 'one', slow)

  await killRunner(running)
  expect(await clients.settled('moved')).toMatchObject({ status: 'InService', config: 'one' })
  const update = { EndpointName: 'moved', EndpointConfigName: 'two' }
  await clients.sagemaker.send(new UpdateEndpointCommand(update))
  await killRunner(running)

  expect((await ask(clients, 'moved')).name).toBe('one')
  expect(await clients.settled('moved')).toMatchObject({ status: 'InService', config: 'two' })
  expect((await ask(clients, 'moved')).name).toBe('two')
  await rm(`${running.directory}-image`, { recursive: true, force: true })
})
