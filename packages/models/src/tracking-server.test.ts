import { expect, test } from 'vitest'
import { parseTrackingUri } from './tracking-server.ts'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

test.each([
  ['http://127.0.0.1:5000/', {}, { url: 'http://127.0.0.1:5000', headers: {} }],
  ['https://host/prefix/', {}, { url: 'https://host/prefix', headers: {} }],
  ['http://host', { token: 't' }, { url: 'http://host', headers: { authorization: 'Bearer t' } }],
  [
    'http://host',
    { username: 'u', password: 'p', token: 't' },
    { url: 'http://host', headers: { authorization: basic('u:p') } },
  ],
  ['http://a:b%40@host', {}, { url: 'http://host', headers: { authorization: basic('a:b@') } }],
])('%s with %j', (uri, credentials, server) => {
  expect(parseTrackingUri(uri, credentials)).toEqual(server)
})

test.each(['sqlite:///x.db', './mlruns', 'file:///x', ''])('%s is refused', (uri) => {
  expect(() => parseTrackingUri(uri, {})).toThrow(/is not that of a server/)
})
