import { writeSync } from 'node:fs'

/** The longest event that CloudWatch takes. */
const EVENT_BYTES_MAX = 256 * 1024
/** A line that is not ended, like a progress bar, is told after this long. */
const UNFINISHED_MS = 500
const ERROR_OUTPUT_CHARACTERS = 4_000

/** Collects what the processes of an instance print. */
export interface OutputLog {
  /** Takes a chunk of one of the two streams. */
  add(stream: 'output' | 'error', chunk: string): void
  /** A line of our own. */
  say(line: string): void
  /** Tells what is left of unfinished lines. */
  end(): void
  errorOutput(): string
}

export interface OutputLogOptions {
  /** Of the file that takes one line per event: the time in ms, a space, the text. */
  file: number
  bytesMax: number
  onLines: (lines: string[], timeMs: number) => void
}

/**
 * Writes lines with their times as they come, up to a number of bytes; what comes after is dropped
 * with a line that says so.
 */
export function createOutputLog({ file, bytesMax, onLines }: OutputLogOptions): OutputLog {
  const unfinished = { output: '', error: '' }
  let errorOutput = ''
  let bytes = 0
  let timer: NodeJS.Timeout | undefined
  const write = (lines: string[]) => {
    const timeMs = Date.now()
    const told = lines.flatMap(pieces).filter((line) => line !== '')
    if (told.length === 0) return
    onLines(told, timeMs)
    if (bytes >= bytesMax) return
    let text = told.map((line) => `${timeMs} ${line}\n`).join('')
    bytes += Buffer.byteLength(text)
    if (bytes >= bytesMax) {
      text += `${timeMs} [millrace] The log has reached ${bytesMax} bytes; what follows is not kept.\n`
    }
    writeSync(file, text)
  }
  const tellUnfinished = () => {
    timer = undefined
    write([unfinished.output, unfinished.error])
    unfinished.output = ''
    unfinished.error = ''
  }
  return {
    add(stream, chunk) {
      if (stream === 'error') errorOutput = (errorOutput + chunk).slice(-ERROR_OUTPUT_CHARACTERS)
      const lines = (unfinished[stream] + chunk).split('\n')
      unfinished[stream] = lines.pop() ?? ''
      write(lines)
      if (unfinished[stream] === '') return
      if (unfinished[stream].length > EVENT_BYTES_MAX) tellUnfinished()
      else timer ??= setTimeout(tellUnfinished, UNFINISHED_MS)
    },
    say: (line) => write([line]),
    end() {
      clearTimeout(timer)
      tellUnfinished()
    },
    errorOutput: () => errorOutput,
  }
}

function pieces(line: string): string[] {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  if (text.length <= EVENT_BYTES_MAX / 4) return [text]
  const found: string[] = []
  for (let at = 0; at < text.length; at += EVENT_BYTES_MAX / 4) {
    found.push(text.slice(at, at + EVENT_BYTES_MAX / 4))
  }
  return found
}
