import { expect, test } from 'vitest';
import { openDatabase, type TestDatabase } from '../../test/support/database.ts';
import { compare } from './compare.ts';

const schema = `
  create table line (a text, b int, n numeric, big text, primary key (a, b));
  insert into line select 'key ' || i % 7 || E'\\t\\\\' , i, i / 3.0, repeat('ü', 300) from generate_series(1, 5000) i;
  create table lonely (id int primary key)`;
const target = ({ server, name, user, password }: TestDatabase) => ({
  target: { host: server.host, port: server.port, database: name, user, password, tls: 'disable' as const },
});

test('equal databases have no differences, and every row was looked at', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b', { schema });
  const found = await compare({ a: target(a), b: target(b) });
  expect(found).toMatchObject({ rows: 5000, differences: 0, shown: [] });
});

test('a changed, a missing and an added row are found with their keys, whatever stands around them', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b', { schema });
  await a.query(`delete from line where b = 5000; insert into lonely values (1)`);
  await b.query(`update line set n = 0.50 where b = 42; delete from line where b between 1 and 3`);
  const found = await compare({ a: target(a), b: target(b) });
  expect(found.differences).toBe(6);
  expect(found.rows).toBe(5001);
  expect(found.tables.map(({ table, differences }) => [table, differences])).toEqual([
    ['public.line', 5],
    ['public.lonely', 1],
  ]);
  const changed = found.shown.find(({ key }) => key.includes(',42)'));
  expect(changed?.a).toContain('14.0000000000000000');
  expect(changed?.b).toContain('0.50');
  expect(found.shown.filter(({ a: inA }) => inA === undefined)).toHaveLength(1);
  expect(found.shown.filter(({ b: inB }) => inB === undefined)).toHaveLength(4);
});

test('databases with different tables are not compared', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b');
  await expect(compare({ a: target(a), b: target(b) })).rejects.toThrow('different tables or columns');
});
