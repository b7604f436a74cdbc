/**
 * Does something with every item, some of them at a time, because a store far away answers many
 * questions as fast as one. Results are in the order of the items; when one fails, those beside it
 * are waited for before its error is thrown.
 */
export async function* inBatches<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  size: number,
  run: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  let batch: Item[] = []
  for await (const item of items) {
    batch.push(item)
    if (batch.length < size) continue
    yield* await settle(batch, run)
    batch = []
  }
  yield* await settle(batch, run)
}

async function settle<Item, Result>(
  batch: readonly Item[],
  run: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const settled = await Promise.allSettled(batch.map(run))
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}
