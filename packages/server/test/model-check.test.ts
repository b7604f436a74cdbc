import { expect, test } from 'vitest'
import { ModelWriter } from './model-writer.ts'
import { seededRandom } from './seeded-random.ts'
import { findBrokenInvariants, testDatabase } from './shared-database.ts'
import { startServer } from './start-server.ts'

/**
 * Random writes of several writers at once against a plain model in memory. The long form is
 * `MILLRACE_MODEL_STEPS=1000000 npx vitest run packages/server/test/model-check.test.ts`;
 * MILLRACE_MODEL_SEED repeats what a failure names.
 */
const STEPS = Number(
  process.env['MILLRACE_MODEL_STEPS'] ?? (testDatabase === 'sqlite' ? 3000 : 1500),
)
const SEED = Number(process.env['MILLRACE_MODEL_SEED'] ?? Date.now() % 1_000_000_000)
const WRITERS = 6

test('holds what a plain model holds after any writes of several writers', {
  timeout: 180_000 + STEPS * 20,
}, async () => {
  await using server = await startServer()
  await server.client.registeredModels.create({ name: 'shared' })
  const writers = Array.from({ length: WRITERS }, (_, i) => {
    return new ModelWriter(server.client, seededRandom(SEED + i), `writer-${i}`)
  })

  await Promise.all(
    writers.map(async (writer) => {
      await writer.begin()
      for (let i = 0; i < STEPS / WRITERS && writer.divergences.length === 0; i++)
        await writer.step()
      await writer.compareAll()
    }),
  )

  const divergences = writers.flatMap((writer) => writer.divergences)
  expect(
    divergences.slice(0, 5),
    `MILLRACE_MODEL_SEED=${SEED} MILLRACE_MODEL_STEPS=${STEPS}`,
  ).toEqual([])
  const shared = writers.flatMap(({ sharedVersions }) => sharedVersions).sort((a, b) => a - b)
  expect(shared).toEqual(shared.map((_, i) => i + 1))
  await server.http.close()
  expect(await findBrokenInvariants(server.config.database)).toEqual([])
})
