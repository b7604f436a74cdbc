import { expect, test } from 'vitest'
import { readDatabaseConfig } from './database-config.ts'

const CONTAINER = { MLFLOW_HOST: '0.0.0.0', MLFLOW_PORT: 'none' }

test('the database of a container is known though nobody said who may come in', () => {
  const env = {
    ...CONTAINER,
    MILLRACE_DATABASE_ENGINE: 'postgresql',
    MILLRACE_DATABASE_HOST: 'db',
    MILLRACE_DATABASE_NAME: 'runs',
    MILLRACE_DATABASE_USER: 'u',
    MILLRACE_DATABASE_PASSWORD: 'p@:/',
  }

  expect(readDatabaseConfig({ uri: undefined }, env)).toMatchObject({
    kind: 'server',
    address: { host: 'db', database: 'runs', password: 'p@:/' },
  })
})

test('a URI counts more than the environment, and a wrong one is refused', () => {
  const env = { ...CONTAINER, MLFLOW_BACKEND_STORE_URI: 'sqlite:////a.db' }

  expect(readDatabaseConfig({ uri: 'sqlite:////b.db' }, env)).toMatchObject({ path: '/b.db' })
  expect(() => readDatabaseConfig({ uri: 'oracle://h/d' }, env)).toThrow(/'oracle'/)
})
