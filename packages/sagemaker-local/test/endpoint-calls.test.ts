import { rm } from 'node:fs/promises'
import { constants } from 'node:os'
import {
  InvokeEndpointCommand,
  InvokeEndpointWithResponseStreamCommand,
} from '@aws-sdk/client-sagemaker-runtime'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { type ServingClients, startServing } from './endpoint-images.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'

// Processes are started and ended, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

const BODY_BYTES_MAX = 6_291_456

let plane: TestPlane
let clients: ServingClients

beforeAll(async () => {
  plane = await startTestPlane()
  clients = await startServing(plane)
  await clients.createModel('slow')
  await clients.createConfig('slow', [{ ModelName: 'slow' }])
  await clients.createEndpoint('slow', 'slow', [{ Key: 'millrace:invocation-seconds', Value: '2' }])
  await clients.createConfig('patient', [{ ModelName: 'slow' }])
  await clients.createEndpoint('patient', 'patient')
  await clients.createConfig('serverless', [
    {
      ModelName: 'slow',
      InstanceType: undefined,
      InitialInstanceCount: undefined,
      ServerlessConfig: { MemorySizeInMB: 1024, MaxConcurrency: 1 },
    },
  ])
  await clients.createEndpoint('serverless', 'serverless')
  for (const name of ['slow', 'patient', 'serverless']) {
    expect(await clients.settled(name)).toMatchObject({ status: 'InService' })
  }
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
  await rm(`${plane.directory}-image`, { recursive: true, force: true })
})

async function invoke(EndpointName: string, Body: string) {
  const { Body: answer } = await clients.runtime.send(
    new InvokeEndpointCommand({ EndpointName, Body, ContentType: 'text/csv' }),
  )
  return Buffer.from(answer)
}

function stream(EndpointName: string, Body: string) {
  return clients.runtime.send(
    new InvokeEndpointWithResponseStreamCommand({
      EndpointName,
      Body,
      ContentType: 'text/csv',
      Accept: 'text/plain',
      CustomAttributes: 'trace=7',
    }),
  )
}

describe('a call of an endpoint', () => {
  test('ends as a ModelError when the model takes too long', async () => {
    await expect(invoke('slow', 'sleep')).rejects.toMatchObject({
      name: 'ModelError',
      OriginalStatusCode: 0,
      OriginalMessage:
        'Your invocation timed out while waiting for a response from container primary. It has 2 s to answer.',
      $metadata: { httpStatusCode: 424 },
    })
  })

  test('brings back as much as it may, and no more', async () => {
    expect(await invoke('patient', `large ${BODY_BYTES_MAX}`)).toHaveLength(BODY_BYTES_MAX)
    await expect(invoke('patient', `large ${BODY_BYTES_MAX + 1}`)).rejects.toMatchObject({
      name: 'ModelError',
      message: expect.stringContaining(`The answer is larger than ${BODY_BYTES_MAX} bytes.`),
    })
  })

  test('of a serverless variant takes 4 MiB', async () => {
    const told = await invoke('serverless', 'x'.repeat(4_194_304))
    expect(JSON.parse(told.toString())).toMatchObject({ bytes: 4_194_304 })
    await expect(invoke('serverless', 'x'.repeat(4_194_305))).rejects.toMatchObject({
      name: 'ValidationError',
      message: expect.stringContaining('less than or equal to 4194304'),
    })
  })
})

test('a model with EnableNetworkIsolation answers and reaches nothing, also after it has been started again', async () => {
  await clients.createModel('apart', {}, { EnableNetworkIsolation: true })
  await clients.createConfig('apart', [{ ModelName: 'apart' }])
  await clients.createEndpoint('apart', 'apart')
  expect(await clients.settled('apart')).toMatchObject({ status: 'InService' })
  const { port } = new URL(plane.url)
  const reach = async (name: string) =>
    z.object({ errno: z.number() }).parse(JSON.parse(String(await invoke(name, `reach ${port}`))))

  expect(await reach('patient')).toEqual({ errno: 0 })
  expect(await reach('apart')).toEqual({ errno: constants.errno.ECONNREFUSED })
  await expect(invoke('apart', 'exit')).rejects.toMatchObject({ name: 'ModelError' })
  await vi.waitFor(
    async () => expect(await reach('apart')).toEqual({ errno: constants.errno.ECONNREFUSED }),
    30_000,
  )
})

describe('a streaming call', () => {
  test('brings each part when it is there', async () => {
    const answer = await stream('patient', 'parts')
    const parts: string[] = []
    for await (const { PayloadPart } of answer.Body ?? []) {
      parts.push(Buffer.from(PayloadPart?.Bytes ?? []).toString())
      // The server has not sent the second part before it is told to.
      if (parts.length === 1) await invoke('patient', 'next')
    }

    expect(parts).toEqual(['one ', 'two '])
    expect(answer).toMatchObject({
      ContentType: 'text/plain',
      InvokedProductionVariant: 'AllTraffic',
    })
  })

  test('is told what the client accepts, and tells what the server says of itself', async () => {
    const answer = await stream('patient', '1,2')
    let text = ''
    for await (const { PayloadPart } of answer.Body ?? []) {
      text += Buffer.from(PayloadPart?.Bytes ?? []).toString()
    }

    expect(JSON.parse(text)).toMatchObject({ body: '1,2', type: 'text/csv', accept: 'text/plain' })
    expect(answer.CustomAttributes).toBe('trace=7')
  })

  test('is refused before it begins as a ModelError, and breaks off as a ModelStreamError', async () => {
    await expect(stream('patient', 'fail')).rejects.toMatchObject({
      name: 'ModelError',
      OriginalMessage: 'that is no input',
    })
    const { Body } = await stream('patient', 'break')
    const seen: string[] = []
    const reading = async () => {
      for await (const { PayloadPart } of Body ?? []) {
        seen.push(Buffer.from(PayloadPart?.Bytes ?? []).toString())
      }
    }

    await expect(reading()).rejects.toMatchObject({
      name: 'ModelStreamError',
      ErrorCode: 'StreamBroken',
    })
    expect(seen).toEqual(['one '])
  })
})
