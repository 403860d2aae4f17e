import { expect, test } from 'vitest';
import { openDatabase } from '../../../test/support/database.ts';
import { planSchema, statementsOf } from './plan.ts';
import { readSchema } from './read.ts';
import { unsupportedObjects } from './unsupported.ts';

const schema = /* sql */ `
create table other (id int primary key);
create table parent (id int);
create table part (id int) partition by range (id);
create table part_1 partition of part for values from (1) to (9);
create type row_like as (o other);
create operator === (leftarg = int, rightarg = int, function = int4eq);
create function own_at(t text) returns text language plpgsql immutable as 'begin return t; end';
create table t (
  id int primary key, o int references other, r row_like, w text check (own_at(w) = w), e int check (e === e)
);
create table child () inherits (parent);
create table typed of row_like;
create rule nothing as on delete to child do instead nothing;
create view both_of as select t.id from t join other on t.id = other.id;
create foreign data wrapper dummy;
create server far foreign data wrapper dummy;
create foreign table away (id int) server far;
`;

test('what can not be made is named with its reason, and planning leaves it out', async () => {
  await using source = await openDatabase('a', { schema });
  const model = await readSchema(
    source.client,
    ['t', 'child', 'part_1', 'typed', 'away', 'not there'].map((name) => ({ schema: 'public', name })),
  );
  const lines = unsupportedObjects(model).map(
    (each) => `${each.severity}: ${each.kind} ${each.schema}.${each.name} ${each.reason}`,
  );
  expect(lines.toSorted()).toEqual([
    'error: foreign-data wrapper .dummy this kind of foreign-data wrapper can not be made; server far needs it',
    'error: operator .public.===(integer,integer) this kind of operator can not be made; table constraint t_e_check on public.t needs it',
    'error: server .far this kind of server can not be made; foreign table public.away needs it',
    'error: table public.away is a foreign table',
    'error: table public.child has rules, which are not made',
    'error: table public.not there does not exist, or is no table',
    'error: table public.other is not selected, but composite type public.row_like needs it',
    'error: table public.parent is not selected, but table public.child needs it',
    'error: table public.part is not selected, but table public.part_1 needs it',
    'note: foreign key public.t.t_o_fkey refers to public.other, which is not selected, so it is left out',
    'note: function public.own_at its body is text: what it names is not followed and must be on the destination',
    'note: table public.typed is a typed table (OF), made as an ordinary one',
    'note: view public.both_of reads relations that are not selected, so it is left out',
  ]);
  expect(statementsOf(planSchema(model)).some((each) => /foreign/i.test(each.sql))).toBe(false);
});

test('what the destination is too old for', async () => {
  await using source = await openDatabase('a');
  if (source.server.major >= 18) {
    await source.query(
      'create table v (a int, b int generated always as (a) virtual, check (a > 0) not enforced)',
    );
  } else await source.query('create table v (a int)');
  const model = await readSchema(source.client, [{ schema: 'public', name: 'v' }]);
  const names = unsupportedObjects(model, 170_005).map((each) => `${each.name}: ${each.reason}`);
  expect(names).toEqual(
    source.server.major >= 18
      ? [
          'v.b: a virtual generated column needs PostgreSQL 18',
          'v.v_a_check: NOT ENFORCED needs PostgreSQL 18',
        ]
      : [],
  );
  expect(unsupportedObjects(model, 180_001)).toEqual([]);
});
