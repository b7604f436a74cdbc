import { expect, test } from 'vitest'
import { failureAdvice } from './failure-advice.ts'

test.each([
  [
    'AlgorithmError: The job was ended because it held more memory than the 100 bytes, exit code: 137',
    /larger instance type/,
  ],
  ["AlgorithmError: ModuleNotFoundError: No module named 'pandas', exit code: 1", /requirements/],
  ['AlgorithmError: ExecuteUserScriptError, exit code: 2', /Your code ended with an error/],
  ['ClientError: Artifact upload failed: no bucket', /training itself ended well/],
  ['InternalServerError: killed', /not the doing of your code/],
  ['MaxRuntimeExceeded', /MaxRuntimeInSeconds/],
  ['what nobody foresaw', /log may say more/],
])('the advice for %j names what to change', (reason, advice) => {
  expect(failureAdvice(reason)).toMatch(advice)
})
