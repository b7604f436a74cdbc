import { rm } from 'node:fs/promises'
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  DescribeEndpointConfigCommand,
  DescribeModelCommand,
  ListEndpointConfigsCommand,
  ListModelsCommand,
  ListTagsCommand,
  UpdateEndpointCommand,
} from '@aws-sdk/client-sagemaker'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ROLE, type ServingClients, startServing } from './endpoint-images.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'

// Processes are started and ended, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

let plane: TestPlane
let clients: ServingClients

beforeAll(async () => {
  plane = await startTestPlane({ hasRunner: false })
  clients = await startServing(plane)
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
  await rm(`${plane.directory}-image`, { recursive: true, force: true })
})

const arn = (kind: string, name: string) =>
  `arn:aws:sagemaker:us-east-1:123456789012:${kind}/${name}`

describe('models', () => {
  test('are made, described, tagged, listed by pages, and deleted', async () => {
    const names = ['page-1', 'page-2', 'page-3', 'page-4', 'page-5']
    for (const name of names) await clients.createModel(name)
    await clients.sagemaker.send(
      new CreateModelCommand({
        ModelName: 'Tagged',
        ExecutionRoleArn: ROLE,
        PrimaryContainer: { Image: clients.image },
        Tags: [{ Key: 'team', Value: 'blue' }],
      }),
    )

    const found: (string | undefined)[] = []
    let NextToken: string | undefined
    do {
      const page = await clients.sagemaker.send(
        new ListModelsCommand({
          NameContains: 'PAGE',
          MaxResults: 2,
          SortBy: 'Name',
          SortOrder: 'Descending',
          NextToken,
        }),
      )
      found.push(...(page.Models ?? []).map(({ ModelName }) => ModelName))
      NextToken = page.NextToken
    } while (NextToken !== undefined)
    expect(found).toEqual(names.toReversed())
    const later = new Date(Date.now() + 60_000)
    const none = await clients.sagemaker.send(new ListModelsCommand({ CreationTimeAfter: later }))
    expect(none.Models).toEqual([])
    const { Tags } = await clients.sagemaker.send(
      new ListTagsCommand({ ResourceArn: arn('model', 'tagged') }),
    )
    expect(Tags).toEqual([{ Key: 'team', Value: 'blue' }])
    expect(
      await clients.sagemaker.send(new DescribeModelCommand({ ModelName: 'page-1' })),
    ).toMatchObject({
      ModelArn: arn('model', 'page-1'),
      ExecutionRoleArn: ROLE,
      EnableNetworkIsolation: false,
      PrimaryContainer: { Mode: 'SingleModel', ModelDataUrl: 's3://models/model.tar.gz' },
    })
    await clients.sagemaker.send(new DeleteModelCommand({ ModelName: 'page-1' }))
    await expect(
      clients.sagemaker.send(new DescribeModelCommand({ ModelName: 'page-1' })),
    ).rejects.toMatchObject({
      name: 'ValidationException',
      message: `Could not find model "${arn('model', 'page-1')}".`,
    })
  })

  test('of a name that is taken are refused as the SDK expects', async () => {
    await clients.createModel('twice')
    await expect(clients.createModel('twice')).rejects.toMatchObject({
      name: 'ValidationException',
      message: `Cannot create already existing model "${arn('model', 'twice')}".`,
    })
  })

  test.each<[string, object, string | RegExp]>([
    [
      'an image that nobody knows',
      {
        Image: '1.dkr.ecr.us-east-1.amazonaws.com/mine:1',
        ModelDataUrl: 's3://models/model.tar.gz',
      },
      /Nothing is known of the image .*mine:1, and the model has no MLmodel file\. It can be/,
    ],
    [
      'model data that is not there',
      { ModelDataUrl: 's3://models/none.tar.gz' },
      'Could not find model data at s3://models/none.tar.gz. Upload it there first',
    ],
    ['a folder without serve', { Image: 'local:/usr/share' }, "has no file 'serve'"],
    ['several models', { Mode: 'MultiModel' }, 'The Mode MultiModel is not served'],
  ])('with %s are refused with what to do', async (_what, container, message) => {
    const refused = clients.sagemaker.send(
      new CreateModelCommand({
        ModelName: 'refused',
        ExecutionRoleArn: ROLE,
        PrimaryContainer: { Image: clients.image, ...container },
      }),
    )
    await expect(refused).rejects.toMatchObject({ name: 'ValidationException' })
    await expect(refused).rejects.toThrow(message)
  })
})

describe('endpoint configurations', () => {
  test('are made, described, listed and deleted, and know the weight of a variant', async () => {
    await clients.createModel('configured')
    const ProductionVariants = [
      {
        VariantName: 'A',
        ModelName: 'configured',
        InstanceType: 'ml.m5.large' as const,
        InitialInstanceCount: 1,
      },
    ]
    await clients.sagemaker.send(
      new CreateEndpointConfigCommand({ EndpointConfigName: 'config', ProductionVariants }),
    )
    const described = await clients.sagemaker.send(
      new DescribeEndpointConfigCommand({ EndpointConfigName: 'config' }),
    )
    expect(described).toMatchObject({
      EndpointConfigArn: arn('endpoint-config', 'config'),
      ProductionVariants: [{ VariantName: 'A', InitialVariantWeight: 1 }],
    })
    const { EndpointConfigs } = await clients.sagemaker.send(new ListEndpointConfigsCommand({}))
    expect(EndpointConfigs).toMatchObject([{ EndpointConfigName: 'config' }])

    await clients.sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName: 'config' }))
    await expect(
      clients.sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName: 'config' })),
    ).rejects.toThrow(
      `Could not find endpoint configuration "${arn('endpoint-config', 'config')}".`,
    )
  })

  test('of a model that is not there, of one variant twice, or of no instances are refused', async () => {
    await clients.createModel('there')
    const variant = { ModelName: 'there' }
    await expect(clients.createConfig('none', [{ ModelName: 'absent' }])).rejects.toThrow(
      `Could not find model "${arn('model', 'absent')}".`,
    )
    await expect(clients.createConfig('none', [variant, variant])).rejects.toThrow(
      "The production variant name 'AllTraffic' occurs twice.",
    )
    await expect(
      clients.createConfig('none', [{ ...variant, InstanceType: undefined }]),
    ).rejects.toThrow('needs an InstanceType and an InitialInstanceCount')
  })
})

test('an endpoint keeps what it is being made of, and nothing else comes between', async () => {
  await clients.createModel('busy')
  await clients.createConfig('busy', [{ ModelName: 'busy' }])
  await clients.createEndpoint('busy', 'busy')

  const refusals: [Promise<unknown>, RegExp][] = [
    [clients.createEndpoint('busy', 'busy'), /Cannot create already existing endpoint "arn:/],
    [clients.createEndpoint('other', 'absent'), /Could not find endpoint configuration "arn:/],
    [
      clients.sagemaker.send(new DeleteModelCommand({ ModelName: 'busy' })),
      /Cannot delete model "arn:.*is Creating with it/,
    ],
    [
      clients.sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName: 'busy' })),
      /Cannot delete endpoint configuration "arn:.*is Creating with it/,
    ],
    [
      clients.sagemaker.send(
        new UpdateEndpointCommand({ EndpointName: 'busy', EndpointConfigName: 'busy' }),
      ),
      /Cannot update in-progress endpoint "arn:/,
    ],
    [
      clients.sagemaker.send(
        new UpdateEndpointCommand({ EndpointName: 'absent', EndpointConfigName: 'busy' }),
      ),
      /Could not find endpoint "arn:/,
    ],
    [
      clients.sagemaker.send(
        new CreateEndpointCommand({ EndpointName: '-bad', EndpointConfigName: 'busy' }),
      ),
      /Value '-bad' at 'endpointName' failed to satisfy constraint/,
    ],
  ]
  for (const [refused, message] of refusals) {
    await expect(refused).rejects.toMatchObject({ name: 'ValidationException' })
    await expect(refused).rejects.toThrow(message)
  }
})
