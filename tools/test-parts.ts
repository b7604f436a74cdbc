import { spawnSync } from 'node:child_process'
import { ensureChromium, missingChromium } from './setup/chromium.ts'
import { ensureDatabaseServer, ensureRegistry } from './setup/debian-packages.ts'
import {
  ensurePythonEnvironment,
  missingPython,
  type PythonEnvironmentName,
  pythonEnvironmentNames,
} from './setup/python-environments.ts'
import { root } from './setup/step.mjs'
import { programStep, type Step, type StepResult, vitestStep } from './test-step.ts'

/** Jobs have a /tmp of their own: they cannot see a checkout that is below it. */
const HIDDEN_BELOW_TMP = root.startsWith('/tmp/')
  ? [
      'guides',
      'guides-backend',
      'deployments-labs',
      'deployments-lineage',
      'sagemaker-deploy-mlflow',
    ].map((name) => `--exclude=tests/compat/${name}.test.ts`)
  : []

/** Tests of behaviour that must be the same whatever the database. */
const ON_EVERY_DATABASE = [
  'packages/server/src/tracking',
  'packages/server/src/registry',
  'packages/server/src/search',
  'packages/server/src/upkeep',
  'packages/server/test/model-check',
  'packages/server/test/hostile-input',
  'packages/server/test/retries',
  'packages/server/test/unanswered-commit',
  'packages/server/test/upgrade',
  'packages/server/src/db/writer-witness',
  'packages/server/test/whole-reads',
  'packages/server/test/replicas',
  'packages/server/test/database-load',
  'packages/server/test/start-refusals',
]

/** What tests of behaviour use besides the server: S3, and a stock client. */
const STORES_AND_CLIENT = (['moto', 'mlflow-3.17.2'] as const).map((name) =>
  setUpStep(name, () => setUpPython(name)),
)

/** The parts of the test run by the name that `npm test -- --only` takes, in the order they run. */
export const parts: Record<string, Step[]> = {
  check: [
    programStep('types', 'tsc', ['-p', '.', '--noEmit', '--pretty', 'false']),
    programStep('types of infra', 'tsc', ['-p', 'infra', '--noEmit', '--pretty', 'false']),
    programStep('lint', 'oxlint', ['--type-aware', '--quiet']),
    programStep('format', 'biome', ['check', '--colors=off', '.']),
    vitestStep('tidy', ['tools/tidy']),
  ],
  unit: [
    ...STORES_AND_CLIENT,
    setUpStep('gcs', () => setUpPython('gcs')),
    // Some tests of the control plane ask an SDK, beside those that the SDKs' own are.
    setUpStep('sagemaker-2.257', () => setUpPython('sagemaker-2.257')),
    setUpStep('sagemaker-1.72', () => setUpPython('sagemaker-1.72')),
    setUpStep('docker-registry', ensureRegistry),
    vitestStep('unit', [
      '--exclude=tests/**',
      '--exclude=tools/tidy*',
      '--exclude=packages/server/test/replicas.test.ts',
    ]),
  ],
  databases: [
    ...STORES_AND_CLIENT,
    ...(['postgresql', 'mariadb'] as const).flatMap((kind) => [
      setUpStep(kind, () => ensureDatabaseServer(kind)),
      vitestStep(`unit on ${kind}`, ON_EVERY_DATABASE, { MILLRACE_TEST_DATABASE: kind }),
    ]),
  ],
  compat: [
    ...pythonEnvironmentNames
      .filter((name) => /^(mlflow|sagemaker)-\d|^xgboost$/.test(name))
      .map((name) => setUpStep(name, () => setUpPython(name))),
    setUpStep('postgresql', () => ensureDatabaseServer('postgresql')),
    // They wait for other programs half of the time.
    vitestStep('compat', ['--maxWorkers=3', 'tests/compat', ...HIDDEN_BELOW_TMP]),
  ],
  e2e: [
    setUpStep('chromium', setUpChromium),
    setUpStep('pages', setUpPages),
    vitestStep('e2e', ['tests/e2e']),
  ],
}

/** A step that counts nothing when it works; a reason not to is a skip on a desk and fails in CI. */
function setUpStep(name: string, setUp: () => Promise<string | undefined>): Step {
  return {
    name: `set up ${name}`,
    async run(): Promise<StepResult> {
      try {
        const reason = await setUp()
        const counts = { passed: 0, failed: 0, skips: [], output: reason ?? '' }
        if (reason === undefined) return counts
        if (process.env['CI']) return { ...counts, failed: 1 }
        return { ...counts, skips: [{ name, reason }] }
      } catch (error) {
        return { passed: 0, failed: 1, skips: [], output: String(error) }
      }
    },
  }
}

async function setUpPython(name: PythonEnvironmentName): Promise<string | undefined> {
  return (await ensurePythonEnvironment(name)) ? undefined : missingPython(name)
}

async function setUpChromium(): Promise<string | undefined> {
  const path = await ensureChromium()
  if (path === undefined) return missingChromium
  process.env['MILLRACE_CHROMIUM'] = path
  return undefined
}

async function setUpPages(): Promise<string | undefined> {
  const { status } = spawnSync(process.execPath, ['tools/setup/build-ui.mjs'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error('The pages could not be built.')
  return undefined
}
