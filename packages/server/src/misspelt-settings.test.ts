import { expect, test } from 'vitest'
import { findMisspelt } from './misspelt-settings.ts'

test('a variable that is nearly a setting is found with what it was meant to be', () => {
  const env = { MILLRACE_BACKEND_STORE_URL: 'postgresql://db/x', MILLRACE_DATABSE_HOST: 'db' }
  expect(findMisspelt(env)).toEqual([
    { name: 'MILLRACE_BACKEND_STORE_URL', meant: 'MILLRACE_BACKEND_STORE_URI' },
    { name: 'MILLRACE_DATABSE_HOST', meant: 'MILLRACE_DATABASE_HOST' },
  ])
})

test('settings, variables of other parts of Millrace and of other programs are not', () => {
  const env = {
    MILLRACE_HOST: '127.0.0.1',
    MILLRACE_PORT: '5000',
    MILLRACE_CACHE: '/c',
    MILLRACE_SAGEMAKER_DATA: '/d',
    MILLRACE_PYTHON: 'python3',
    MLFLOW_BACKEND_STORE_URL: 'x',
    PATH: '/bin',
  }
  expect(findMisspelt(env)).toEqual([])
})
