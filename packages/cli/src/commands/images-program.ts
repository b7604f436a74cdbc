import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

/**
 * Runs a program without a shell and gives what it wrote to its standard output.
 *
 * @throws Error with the last of what it wrote to its standard error, or how to get the program
 */
export async function runTool(
  file: string,
  args: string[],
  { cwd, advice }: { cwd?: string; advice: string },
): Promise<string> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(cwd && { cwd }) })
  const ended = new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(code ?? signal ?? 1))
  })
  const [written, complaint, end] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    ended,
  ])
  if (end === 0) return written
  const said = complaint.trim().split('\n').slice(-20).join('\n')
  throw new Error(`${file} ${args[0] ?? ''} failed (${end}). ${advice}${said ? `\n${said}` : ''}`)
}
