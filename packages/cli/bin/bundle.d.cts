/** Where the bundle of a checkout, or of this one, is or would be. */
export function bundleOf(checkout?: string): { folder: string; main: string; stamp: string }
/** Every source file of the bundle with size and time of change; undefined without sources. */
export function describeSources(checkout?: string): string | undefined
/** Whether the bundle is there and made from the sources as they are. */
export function isCurrent(checkout?: string): boolean
