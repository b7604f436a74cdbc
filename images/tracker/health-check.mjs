// Asks the server of this container whether it is well; its exit code is the answer.
const port = process.env.MILLRACE_PORT || process.env.MLFLOW_PORT || '5000'
const prefix = process.env.MILLRACE_STATIC_PREFIX || process.env.MLFLOW_STATIC_PREFIX || ''

try {
  const answer = await fetch(`http://127.0.0.1:${port}${prefix}/health`, {
    signal: AbortSignal.timeout(4_000),
  })
  if (!answer.ok) throw new Error(`/health answered ${answer.status}`)
} catch (error) {
  process.stderr.write(`not healthy: ${error.message}\n`)
  process.exitCode = 1
}
