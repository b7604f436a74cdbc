import { runTests } from './run-tests.ts'

process.exitCode = await runTests(['check'])
