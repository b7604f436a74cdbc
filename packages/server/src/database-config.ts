import { type DatabaseConfig, readConfig } from './config.ts'
import { SERVER_OPTIONS } from './server-options.ts'

const OF_THE_DATABASE = /^(?:backend-store-uri|database-.+|sqlite-.+)$/

/**
 * The database of a server's settings, for commands that open it and listen nowhere: what the other
 * settings say, and who may come in, is not asked.
 *
 * @throws ConfigError naming every setting of the database that is wrong
 */
export function readDatabaseConfig(
  { uri }: { uri: string | undefined },
  env: Readonly<Record<string, string | undefined>>,
): DatabaseConfig {
  const variables = SERVER_OPTIONS.filter(({ name }) => OF_THE_DATABASE.test(name)).flatMap(
    (option) => option.env,
  )
  const own = Object.fromEntries(variables.map((name) => [name, env[name]]))
  const flags = uri === undefined ? {} : { 'backend-store-uri': uri }
  return readConfig(flags, own, undefined).database
}
