import { type OptionValues, readConfig, type ServerConfig } from '@millrace/server/config'
import { SERVER_OPTIONS } from '@millrace/server/server-options'
import { type Command, Option } from 'commander'

/** Settings of the server that say where its data is. */
const STORAGE = [
  'backend-store-uri',
  'artifacts-destination',
  'default-artifact-root',
  'database-host',
  'database-port',
  'database-engine',
  'database-name',
  'database-user',
  'database-sslmode',
  's3-endpoint-url',
  's3-region',
  's3-addressing-style',
  's3-upload-extra-args',
  's3-expected-bucket-owner',
  's3-ignore-tls',
  'local-artifact-roots',
  'remote-artifact-roots',
]

/** Adds the options that say where a server keeps its data, described as those of the server. */
export function addStorageOptions(command: Command): Command {
  for (const { name, value, describe, defaultsTo } of SERVER_OPTIONS) {
    if (!STORAGE.includes(name)) continue
    const shown = defaultsTo ? `${describe} (default: ${defaultsTo})` : describe
    command.addOption(new Option(`--${name}${value ? ` <${value}>` : ''}`, shown))
  }
  return command
}

/**
 * The database and the stores of a server, from flags and the environment that the server reads.
 *
 * @throws ConfigError naming every setting that is wrong
 */
export function readStorage(flags: Record<string, unknown>): ServerConfig {
  const named: Record<string, string | boolean> = {}
  for (const [key, value] of Object.entries(flags)) {
    const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    if (!STORAGE.includes(name)) continue
    if (typeof value === 'string' || typeof value === 'boolean') named[name] = value
  }
  // Nothing listens here, and what was put behind the proxy is there whether it is open or not.
  const values: OptionValues = { ...named, host: '127.0.0.1', 'serve-artifacts': true }
  return readConfig(values, process.env, undefined)
}

/** Whether somebody said where artifacts are, rather than leave it to the default. */
export function namesDestination(flags: Record<string, unknown>): boolean {
  const { MILLRACE_ARTIFACTS_DESTINATION, MLFLOW_ARTIFACTS_DESTINATION } = process.env
  return Boolean(
    flags['artifactsDestination'] || MILLRACE_ARTIFACTS_DESTINATION || MLFLOW_ARTIFACTS_DESTINATION,
  )
}
