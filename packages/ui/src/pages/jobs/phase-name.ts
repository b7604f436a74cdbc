/** A phase in words: `DownloadingTrainingImage` is 'Downloading training image'. */
export function phaseName(phase: string): string {
  const words = phase.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return words.charAt(0).toUpperCase() + words.slice(1)
}
