import { appendFileSync } from 'node:fs'

/** Lines that we add to the log of an instance before it is started. */
export class JobLog {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  say(line: string): void {
    const text = line.replaceAll('\n', ' ')
    appendFileSync(this.#file, `${Date.now()} [millrace] ${text}\n`)
  }
}
