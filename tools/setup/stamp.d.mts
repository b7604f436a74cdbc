/** One hash over several texts or buffers, in their order. */
export function hashOf(parts: (string | Uint8Array)[]): string
