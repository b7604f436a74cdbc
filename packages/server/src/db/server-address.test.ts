import { describe, expect, test } from 'vitest'
import { describeAddress, joinServerAddress, parseServerUri } from './server-address.ts'

describe('a URI', () => {
  test.each([
    ['postgresql://u:p@h:5433/d', ['postgresql', 'u', 'p', 'h', 5433, 'd']],
    ['postgresql+psycopg2://u:p@h/d', ['postgresql', 'u', 'p', 'h', 5432, 'd']],
    ['postgres://u@h/d', ['postgresql', 'u', undefined, 'h', 5432, 'd']],
    ['mysql+pymysql://u:p@h/d', ['mysql', 'u', 'p', 'h', 3306, 'd']],
    ['mysql://u:p@h/d', ['mysql', 'u', 'p', 'h', 3306, 'd']],
    ['mariadb+pymysql://u:p@h/d', ['mysql', 'u', 'p', 'h', 3306, 'd']],
    ['postgresql://u:p@[::1]:5433/d', ['postgresql', 'u', 'p', '::1', 5433, 'd']],
    ['postgresql://u:p%40%3A%2F%23%25@h/d', ['postgresql', 'u', 'p@:/#%', 'h', 5432, 'd']],
    ['postgresql://u:p@:/#%@h/d', ['postgresql', 'u', 'p@:/#%', 'h', 5432, 'd']],
    ['postgresql://u:a?b@h/d', ['postgresql', 'u', 'a?b', 'h', 5432, 'd']],
    ['postgresql://u:p@h/d?application_name=a@b', ['postgresql', 'u', 'p', 'h', 5432, 'd']],
    ['postgresql://u:p@/d?host=/run/pg', ['postgresql', 'u', 'p', '/run/pg', 5432, 'd']],
    [
      'mysql://u:p@localhost/d?unix_socket=/run/my.sock',
      ['mysql', 'u', 'p', '/run/my.sock', 3306, 'd'],
    ],
  ])('%s says where the database is', (uri, [kind, user, password, host, port, database]) => {
    expect(parseServerUri(uri)).toMatchObject({ kind, user, host, port, database })
    expect(parseServerUri(uri).password).toBe(password)
  })

  test.each([
    ['postgresql://u:secret@h', 'name a database'],
    ['postgresql://h/d', 'name a user'],
    ['postgresql://u:secret@h:0/d', 'port 0'],
    ['postgresql://u:secret@h:99999/d', 'port 99999'],
    ['postgresql://u:secret@h/d?sslmode=maybe', "sslmode 'maybe'"],
    ['postgresql://u:secret@h/d?sslmode=verify-full&sslrootcert=/no/such.pem', '/no/such.pem'],
  ])('%s is refused without its password', (uri, reason) => {
    expect(() => parseServerUri(uri)).toThrow(reason)
    expect(() => parseServerUri(uri)).not.toThrow('secret')
  })

  test.each([
    ['', undefined],
    ['?sslmode=disable', undefined],
    ['?sslmode=prefer', undefined],
    ['?sslmode=require', { rejectUnauthorized: false }],
    ['?sslmode=verify-ca', { rejectUnauthorized: true, verifyIdentity: false }],
    ['?sslmode=verify-full', { rejectUnauthorized: true, verifyIdentity: true }],
    ['?sslmode=verify-full&sslrootcert=system', { rejectUnauthorized: true, verifyIdentity: true }],
    ['?ssl=true', { rejectUnauthorized: true, verifyIdentity: true }],
    ['?ssl_verify_cert=true', { rejectUnauthorized: true, verifyIdentity: true }],
    ['?ssl=true&ssl_verify_identity=false', { rejectUnauthorized: true, verifyIdentity: false }],
  ])('with %s asks for that much of TLS', (query, tls) => {
    const found = parseServerUri(`postgresql://u@h/d${query}`).tls
    if (tls === undefined) expect(found).toBeUndefined()
    else expect(found).toMatchObject(tls)
  })

  test.each([
    ['postgresql://u@h/d', true],
    ['postgresql://u@h/d?sslmode=prefer', true],
    ['postgresql://u@h/d?sslmode=disable', undefined],
    ['postgresql://u@/d?host=/run/pg', undefined],
    ['mysql://u@h/d', undefined],
  ])('%s takes TLS where it is offered: %s', (uri, prefersTls) => {
    expect(parseServerUri(uri).prefersTls).toBe(prefersTls)
  })

  test('that wants an address checked as if it were a name is refused on MySQL', () => {
    expect(() => parseServerUri('mysql://u@10.0.0.1/d?ssl-mode=VERIFY_IDENTITY')).toThrow(
      '10.0.0.1',
    )
  })

  test('is described without its password', () => {
    const shown = describeAddress(parseServerUri('mysql+pymysql://u:secret@h/d'))

    expect(shown).toBe('mysql://u@h:3306/d')
  })
})

describe('an address in parts', () => {
  const parts = { engine: 'postgresql', host: 'h', port: '', name: 'd', user: 'u', sslmode: '' }

  test('takes each part exactly as it is', () => {
    const address = joinServerAddress({ ...parts, password: 'a%40b@:/' })

    expect(address).toMatchObject({ password: 'a%40b@:/', port: 5432, database: 'd' })
  })

  test.each([
    [{ engine: 'oracle' }, "engine 'oracle'"],
    [{ name: '' }, 'name is missing'],
    [{ user: '' }, 'user is missing'],
    [{ port: 'x' }, "port 'x'"],
  ])('%j is refused', (change, reason) => {
    expect(() => joinServerAddress({ ...parts, password: 'secret', ...change })).toThrow(reason)
  })
})
