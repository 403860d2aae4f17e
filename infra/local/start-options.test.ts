import { expect, test } from 'vitest';
import { readStartOptions } from './start-options.ts';

const a = 'postgres://u:p@db-a.example.com/shop?sslmode=require';
const b = 'postgres://u:p@db-b.example.com/shop';

test('two databases may be given in order, by option, or in the environment', () => {
  const wanted = { a: { url: a }, b: { url: b } };
  expect(readStartOptions([a, b], {}).sides).toEqual(wanted);
  expect(readStartOptions(['--b', b, '--a', a], {}).sides).toEqual(wanted);
  expect(readStartOptions([], { PGTWIN_A: a, PGTWIN_B: b }).sides).toEqual(wanted);
  expect(readStartOptions(['--a', a], { PGTWIN_A: 'x', PGTWIN_B: b }).sides).toEqual(wanted);
});

test('the variables of psql stand for the database that is not given', () => {
  const env = { PGHOST: 'localhost', PGDATABASE: 'shop', PGUSER: 'me', PGPASSWORD: 'secret' };
  const mine = {
    host: 'localhost',
    port: 5432,
    database: 'shop',
    user: 'me',
    password: 'secret',
    tls: 'disable',
  };
  expect(readStartOptions([a], env).sides).toEqual({ a: { url: a }, b: mine });
  expect(readStartOptions(['--b', b], env).sides).toEqual({ a: mine, b: { url: b } });
  expect(
    readStartOptions(['--b', b], { ...env, PGHOST: 'far', PGSSLMODE: 'verify-full' }).sides?.a,
  ).toMatchObject({
    host: 'far',
    tls: 'verify-full',
  });
});

test('one database alone is no pair', () => {
  expect(readStartOptions([a], {})).toMatchObject({ sides: undefined, incomplete: true });
  expect(readStartOptions([], {})).toMatchObject({
    sides: undefined,
    incomplete: false,
    port: 8700,
    home: '.pgtwin',
  });
});

test('a server on this machine is reached without TLS unless its URL asks for it', () => {
  const here = 'postgres://u:p@127.0.0.1:5433/shop';
  const sides = readStartOptions([here, `${here}2?sslmode=require`], {}).sides;
  expect(sides).toEqual({ a: { url: here, tls: 'disable' }, b: { url: `${here}2?sslmode=require` } });
});

test.for([
  [['--port', 'x'], '--port'],
  [['--unknown'], '--unknown'],
  [[a, b, a], 'at most two'],
] as const)('%j is refused by name', ([args, name]) => {
  expect(() => readStartOptions(args, {})).toThrow(name);
});
