import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the checkout. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/**
 * Runs one program of the set-up. Says `title` while it runs, shows the program's output only when it
 * fails, and then throws with `advice`, which tells what to do.
 */
export async function runStep({ title, file, args, advice, env = process.env, cwd = root }) {
  process.stderr.write(`${title} ...\n`)
  const startedMs = Date.now()
  const { code, output } = await capture({ file, args, env, cwd })
  if (code === 0) {
    process.stderr.write(`${title}: done in ${Math.round((Date.now() - startedMs) / 1000)} s\n`)
    return
  }
  process.stderr.write(`${output}\n`)
  throw new Error(`${title} failed: ${[file, ...args].join(' ')} ended with ${code}. ${advice}`)
}

function capture({ file, args, env, cwd }) {
  return new Promise((resolve) => {
    const chunks = []
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.on('data', (chunk) => chunks.push(chunk))
    child.stderr.on('data', (chunk) => chunks.push(chunk))
    child.on('error', (error) => resolve({ code: error.code, output: error.message }))
    child.on('close', (code, signal) =>
      resolve({ code: code ?? signal, output: Buffer.concat(chunks).toString() }),
    )
  })
}
