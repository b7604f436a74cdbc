/** Built into bash or part of its grammar, and no program. */
export const BUILTINS = new Set(
  (
    '. : [[ alias bind break builtin case cd command continue coproc declare dirs disown do done ' +
    'elif else enable esac eval exec exit export fc fg fi for function getopts hash if in jobs let ' +
    'local logout mapfile popd pushd read readarray readonly return select set shift shopt source ' +
    'suspend then time times trap type typeset ulimit umask unset until wait while ! { }'
  ).split(' '),
)
/** Commands that read what their words say as code, or as a name with a subscript that is code. */
export const EVALUATING = new Set(
  (
    '[[ alias bind compgen complete coproc declare eval export getopts let local mapfile printf ' +
    'read readarray readonly test trap typeset unset wait ['
  ).split(' '),
)
/** The flag after which these evaluate a word, and no other word. */
export const EVALUATING_FLAG: Record<string, RegExp> = {
  printf: /^-v$/,
  test: /^-[vR]$/,
  '[': /^-[vR]$/,
}
/** What makes `[[` calculate with its words. */
export const NUMERIC_TEST = /-(?:v|R|eq|ne|lt|le|gt|ge)\b/
/** What may stand before a command's name. */
export const PREFIXES = new Set(
  'builtin command do elif else env exec if nice nohup sudo then time until while xargs ! {'.split(
    ' ',
  ),
)
const SHELL = /^(?:.*\/)?(?:ba|da|k|z|a|fi|c|tc)?sh$/

/** Whether a shell among the words takes the next one for its program: `env sh -ec`. */
export function isShellText(said: string[]): boolean {
  const shell = said.findIndex((word) => SHELL.test(word))
  if (shell < 0) return false
  const flags = said.slice(shell + 1)
  const program = flags.findIndex((word) => /^-[a-z]*c[a-z]*$/.test(word))
  const after = flags.slice(program + 1)
  return (
    program >= 0 &&
    after.every((word, i) => /^[-+]/.test(word) || /^[-+]o$/i.test(after[i - 1] ?? ''))
  )
}
