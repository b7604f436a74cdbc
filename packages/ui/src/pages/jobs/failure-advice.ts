const ADVICE: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [
    /more memory/,
    'Start it on a larger instance type, or with smaller batches; the tag millrace:memory-megabytes raises the limit on this machine.',
  ],
  [/wrote more than/, 'Ask for a larger VolumeSizeInGB, or write less to the disk.'],
  [/started more than/, 'Start fewer processes: workers of data loaders count too.'],
  [
    /upload failed/i,
    'The training itself ended well. Check that the bucket of the output path exists, and start it again.',
  ],
  [
    /No module named|ModuleNotFoundError|ImportError/,
    'Name the missing package in a requirements.txt beside the script, and start it again.',
  ],
  [/MaxRuntimeExceeded/, 'Give it a larger MaxRuntimeInSeconds, or checkpoints to go on from.'],
  [
    /MaxWaitTimeExceeded/,
    'Give it a larger MaxWaitTimeInSeconds, or do not ask for spot capacity.',
  ],
  [
    /^ClientError/,
    'Something in the request does not fit: the image, an input or the script. Correct it, and start it again.',
  ],
  [/^InternalServerError/, 'This was not the doing of your code. Start it again as it was.'],
  [
    /exit code/i,
    'Your code ended with an error. The end of the log shows where; correct it, and start it again.',
  ],
]

/** What a person can do about the reason why a job has failed. */
export function failureAdvice(reason: string): string {
  const found = ADVICE.find(([pattern]) => pattern.test(reason))
  return found?.[1] ?? 'The log may say more. Start it again once it is clear what to change.'
}
