/**
 * Reads an env file as `docker run --env-file` does: `NAME=VALUE` lines with nothing taken off the
 * value, `#` lines left out, and a `NAME` alone taken from `environment` if it is there.
 *
 * @throws Error naming the line that is neither
 */
export function parseEnvFile(text: string, environment: NodeJS.ProcessEnv): Record<string, string> {
  const values: Record<string, string> = {}
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  for (const [index, written] of lines.entries()) {
    const line = written.trimStart()
    if (line === '' || line.startsWith('#')) continue
    const equals = line.indexOf('=')
    const name = equals === -1 ? line : line.slice(0, equals)
    if (name === '' || /\s/.test(name)) {
      throw new Error(
        `Line ${index + 1} of the env file has no name in front of '=', or one with a space.`,
      )
    }
    const value = equals === -1 ? environment[name] : line.slice(equals + 1)
    if (value !== undefined) values[name] = value
  }
  return values
}

/** A value without the quotes around all of it, which files for MLflow's `--env-file` often have. */
export function unquoted(value: string): string {
  return /^(["']).*\1$/s.test(value) && value.length > 1 ? value.slice(1, -1) : value
}
