import { invalid } from '@millrace/api/errors'
import {
  isQuotable,
  LIST_COMPARATORS,
  listTest,
  NUMBER_COMPARATORS,
  numberTest,
  pythonList,
  pythonSet,
  quotedText,
  TEXT_COMPARATORS,
  textTest,
} from './clause-reading.ts'
import {
  type AttributeComparison,
  type Clause,
  type EntryComparison,
  echo,
  type Grammar,
  type ListTest,
  type NumberTest,
  type TextTest,
} from './filter.ts'
import { readNarrowName, readTagText, refuseComparator } from './grammar-experiments.ts'
import { severalStatements } from './grammar-runs.ts'
import { at, type Token } from './tokens.ts'

/**
 * Exports `registeredModelGrammar` and `modelVersionGrammar`. Source: MLflow 3.17
 * `SearchModelUtils`, `SearchModelVersionUtils` and the registry's SQL store.
 */

export const MODEL_VERSION_ATTRIBUTES = ['name', 'version_number', 'run_id', 'source_path'] as const
export type ModelVersionAttribute = (typeof MODEL_VERSION_ATTRIBUTES)[number]
export type RegistryComparison = EntryComparison | AttributeComparison

const STRING_COMPARATORS = [...TEXT_COMPARATORS, ...LIST_COMPARATORS] as const

export const registeredModelGrammar = registryGrammar(['name'], (clause, _key, value) =>
  readRegistryText(clause, value, ['name'], 'name'),
)

export const modelVersionGrammar = registryGrammar(
  MODEL_VERSION_ATTRIBUTES,
  (clause, key, value) => {
    if (key === 'version_number' && value.type !== 'list') return readVersionNumber(clause, value)
    if (value.type === 'number') {
      throw invalid(
        `Only the '${pythonSet(['version_number'])}' attributes support comparison with ` +
          `numeric values.${at(value)}`,
      )
    }
    return readRegistryText(clause, value, ['name', 'run_id'], key)
  },
)

function registryGrammar<A extends string>(
  attributes: readonly A[],
  readAttribute: (clause: Clause, key: A, value: Token) => NumberTest | TextTest | ListTest,
): Grammar<RegistryComparison> {
  return {
    read(clause) {
      const { value } = clause
      const { kind, key } = readNarrowName(clause.name, attributes)
      if (value === undefined) {
        throw invalid(
          `Invalid comparator for ${kind}: ${clause.comparator} is not supported here` +
            at(clause.operator),
        )
      }
      if (kind === 'tag') return { kind, key, ...readTagText(clause, value) }
      return { kind, key, ...readAttribute(clause, key, value) }
    },
    invalidClauses: (pieces) => `Invalid clause(s) in filter string: ${pieces.join(', ')}`,
    severalStatements,
  }
}

function readRegistryText(
  clause: Clause,
  value: Token,
  listKeys: readonly string[],
  key: string,
): TextTest | ListTest {
  const isList = value.type === 'list'
  if (isList && !listKeys.includes(key)) {
    throw invalid(
      `Only ${pythonList(listKeys)} attributes support comparison with a list of quoted string ` +
        `values.${at(value)}`,
    )
  }
  if (!isList && !isQuotable(value)) {
    throw invalid(
      'Expected a quoted string value or a list of quoted string values for attributes. ' +
        `Got value ${echo(value.text)}${at(value)}`,
    )
  }
  const text = isList ? '' : quotedText(value)
  refuseComparator(clause, STRING_COMPARATORS, 'attribute')
  return isList ? listTest(clause, value) : textTest(clause, text)
}

/** MLflow takes a quoted number too. */
function readVersionNumber(clause: Clause, value: Token): NumberTest {
  const text = isQuotable(value) ? quotedText(value) : value.text
  refuseComparator(clause, NUMBER_COMPARATORS, 'attribute version_number')
  if (!/^[+-]?\d{1,18}$/.test(text.trim())) {
    throw invalid(
      `Invalid value for numeric attribute 'version_number': ${echo(value.text)}${at(value)}`,
    )
  }
  return numberTest(clause, { ...value, text: text.trim() })
}
