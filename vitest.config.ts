import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest: begun last, one would run alone at the end. */
const LONG =
  /\/(?:projects-image|guides|deployments-labs|images-tracker|projects-access|projects-endings|sagemaker-deploy-mlflow|search-runs-query|replicas|predict|dialects|serve|s3-store|model-check|many-runs)\.test\.ts$/

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

export default defineConfig({
  test: {
    include: [
      'packages/*/{src,test}/**/*.test.{ts,tsx}',
      'infra/src/**/*.test.ts',
      'tools/**/*.test.ts',
      'tests/**/*.test.ts',
    ],
    pool: 'forks',
    globalSetup: ['packages/server/test/shared-database.ts'],
    // Long enough for a machine that is busy with something else; a test that hangs is rare.
    testTimeout: 180_000,
    hookTimeout: 900_000,
    expect: { poll: { timeout: 30_000 } },
    maxWorkers: 2,
    sequence: { sequencer: LongFirst },
  },
})
