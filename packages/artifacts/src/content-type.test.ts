import { expect, test } from 'vitest'
import { contentDisposition, contentType } from './content-type.ts'

// Right-hand sides are what MLflow 3.17 `_guess_mime_type` answers, unless marked.
test.each([
  ['MLmodel', 'text/plain'],
  ['mlproject', 'text/plain'],
  ['MLproject', 'application/octet-stream'],
  ['conda.yaml', 'text/plain'],
  ['metrics.json', 'text/plain'],
  ['train.py', 'text/plain'],
  ['notebook.ipynb', 'text/plain'],
  ['py', 'text/plain'],
  ['A.TXT', 'text/plain'],
  ['index.html', 'text/html'],
  ['plot.svg', 'image/svg+xml'],
  ['plot.PNG', 'image/png'],
  ['report.pdf', 'application/pdf'],
  ['model.pkl', 'application/octet-stream'],
  ['model.unknown', 'application/octet-stream'],
  ['.gitignore', 'application/octet-stream'],
  ['.txt', 'application/octet-stream'],
  ['html', 'application/octet-stream'],
  ['a.', 'application/octet-stream'],
  ['', 'application/octet-stream'],
  // MLflow says application/x-tar, which the bytes are not.
  ['model.tar.gz', 'application/gzip'],
])('%j is served as %s', (filename, type) => {
  expect(contentType(filename)).toBe(type)
})

test.each([
  ['a.txt', 'attachment; filename=a.txt'],
  ['a b;c.txt', 'attachment; filename="a b;c.txt"'],
  ['é.txt', `attachment; filename="e.txt"; filename*=UTF-8''%C3%A9.txt`],
  ['日本語', `attachment; filename="download"; filename*=UTF-8''%E6%97%A5%E6%9C%AC%E8%AA%9E`],
  ['50%41.txt', `attachment; filename="50%41.txt"; filename*=UTF-8''50%2541.txt`],
  ['a"b\\c', `attachment; filename="a\\"b\\\\c"; filename*=UTF-8''a%22b%5Cc`],
  ["é'(*)", `attachment; filename="e'(*)"; filename*=UTF-8''%C3%A9%27%28%2A%29`],
  [
    'a\r\nSet-Cookie: x',
    `attachment; filename="aSet-Cookie: x"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x`,
  ],
])('%j is offered as %s', (filename, header) => {
  expect(contentDisposition(filename)).toBe(header)
})
