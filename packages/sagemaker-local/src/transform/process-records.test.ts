import { expect, test } from 'vitest'
import { type DataProcessing, recordProcessing } from './process-records.ts'

/** What records and the answer to them become. */
function through(
  processing: DataProcessing,
  type: string,
  records: string[],
  answer: string,
  answerType = type,
) {
  const found = recordProcessing(processing, type)
  const originals = records.map((record) => Buffer.from(record))
  return {
    asked: originals.map((record) => String(found?.toModel(record))),
    written: found?.fromModel(originals, Buffer.from(answer), answerType).map(String),
  }
}

test('columns of CSV are left out before the model and joined after it', () => {
  const { asked, written } = through(
    { InputFilter: '$[1:]', JoinSource: 'Input', OutputFilter: '$[0,-1]' },
    'text/csv',
    ['7,"a,b",1', '8,c,2'],
    '0.5\n0.7\n',
  )
  expect(asked).toEqual(['"a,b",1', 'c,2'])
  expect(written).toEqual(['7,0.5', '8,0.7'])
})

test('an object of JSON gets what was predicted as SageMakerOutput', () => {
  const { asked, written } = through(
    { InputFilter: '$.features', JoinSource: 'Input', OutputFilter: "$['id','SageMakerOutput']" },
    'application/jsonlines',
    ['{"id":1,"features":[1,2]}', '{"id":2,"features":[3,4]}'],
    '{"score":0.5}\n{"score":0.7}\n',
  )
  expect(asked).toEqual(['[1,2]', '[3,4]'])
  expect(written).toEqual([
    '{"id":1,"SageMakerOutput":{"score":0.5}}',
    '{"id":2,"SageMakerOutput":{"score":0.7}}',
  ])
})

test('what is no object is wrapped together with what was predicted', () => {
  const { written } = through({ JoinSource: 'Input' }, 'application/json', ['[1,2]'], '0.5')
  expect(written).toEqual(['{"SageMakerInput":[1,2],"SageMakerOutput":0.5}'])
})

test("the predictions of MLflow's scoring server are told apart for a join", () => {
  const { written } = through(
    { JoinSource: 'Input' },
    'text/csv',
    ['1,2', '3,4'],
    '{"predictions": [0.5, 0.7]}',
    'application/json',
  )
  expect(written).toEqual(['1,2,0.5', '3,4,0.7'])
})

test('an answer with another number of records is refused for a join', () => {
  expect(() => through({ JoinSource: 'Input' }, 'text/csv', ['1', '2'], '0.5\n')).toThrow(
    'The model answered 1 records to 2: JoinSource needs one for each.',
  )
})

test('a type without structure has nothing to filter, and needs nothing when there is nothing to do', () => {
  expect(() => recordProcessing({ InputFilter: '$[1:]' }, 'image/png')).toThrow("not 'image/png'")
  expect(
    recordProcessing({ InputFilter: '$', OutputFilter: '$', JoinSource: 'None' }, 'image/png'),
  ).toBeUndefined()
})
