import type { RegistryComparison } from './grammar-registry.ts'

/**
 * Exports how the tag that marks prompts decides between models and prompts. Models do not carry
 * the tag, so a clause about it cannot be an ordinary one. Source: MLflow 3.17
 * `_is_querying_prompt` and `_update_query_to_exclude_prompts`.
 */

export const IS_PROMPT_TAG = 'mlflow.prompt.is_prompt'

export function withoutPromptTag(comparisons: readonly RegistryComparison[]): {
  /** As they were when prompts are asked for; without any on the tag when models are. */
  comparisons: readonly RegistryComparison[]
  asksForPrompts: boolean
} {
  const first = comparisons.find(isPromptTag)
  const asksForPrompts =
    first?.type === 'text' &&
    ((first.comparator === '=' && first.value.toLowerCase() === 'true') ||
      (first.comparator === '!=' && first.value.toLowerCase() === 'false'))
  if (asksForPrompts) return { comparisons, asksForPrompts }
  return { comparisons: comparisons.filter((each) => !isPromptTag(each)), asksForPrompts: false }
}

function isPromptTag({ kind, key }: RegistryComparison): boolean {
  return kind === 'tag' && key === IS_PROMPT_TAG
}
