import { afterAll, beforeAll, expect, test } from 'vitest';
import { crossed } from '../support/crossed.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const schema = `
  create table customer (id int primary key, t text unique);
  create table contract (nr numeric primary key, customer int references customer, note text);
  create table line (contract numeric not null references contract on delete cascade, n int, t text, primary key (contract, n));
  insert into customer select g, 'c' || g from generate_series(1, 40) g;
  insert into contract select g, g from generate_series(11, 20) g;
  insert into line select g, 1, 'line' from generate_series(11, 20) g`;

/** Rows without parent on both sides, and what the log says of foreign keys. */
async function stateOf(twin: Twin): Promise<{ orphans: number[]; log: string[] }> {
  const orphans = /* sql */ `
    select (select count(*) from contract c where not exists (select from customer where id = c.customer) and customer is not null)::int
         + (select count(*) from line l where not exists (select from contract where nr = l.contract))::int as n`;
  const counts = await Promise.all([twin.a, twin.b].map((side) => side.rows<{ n: number }>(orphans)));
  const lines = (await twin.conflicts()).filter((line) => line['kind'] === 'foreign_key');
  return {
    orphans: counts.map(([row]) => row!.n),
    log: lines.map(
      (line) =>
        `${line['table_name']} ${Object.values(line['key'] as unknown as object).join(' ')} ${line['result']}`,
    ),
  };
}

test('restore-parent: a parent that one side deletes stays if the other has given it a child meanwhile', async () => {
  await using twin = await openTwin(on, { schema });
  // The arbiter has the child, and the row that the other side deletes.
  await crossed(twin, 'delete from customer where id = 1', 'insert into contract values (1, 1)');
  // It has deleted the parent itself: it asks the other side for it, unless that one has sent it already.
  await crossed(twin, 'insert into contract values (2, 2)', 'delete from customer where id = 2');
  // A whole stretch, of which some have children; a parent that is a child, and whose own parent goes as well.
  await crossed(
    twin,
    'delete from customer where id between 21 and 40; delete from line where contract = 11; delete from contract where nr = 11; delete from customer where id = 11',
    `insert into contract select g, g from generate_series(22, 26) g; insert into line values (11, 2, 'new')`,
  );
  await crossed(
    twin,
    `insert into line values (12, 2, 'new')`,
    'delete from contract where nr = 12; delete from customer where id = 12',
  );
  // A child that was deleted along, but changed meanwhile.
  await crossed(twin, 'delete from contract where nr = 13', `update line set t = 'b' where contract = 13`);
  await crossed(twin, `update line set t = 'a' where contract = 14`, 'delete from contract where nr = 14');
  expect(await twin.differences()).toEqual([]);
  const { orphans, log } = await stateOf(twin);
  expect(orphans).toEqual([0, 0]);
  expect(log).toEqual(
    expect.arrayContaining([
      'customer 1 destination',
      'customer 24 destination',
      'contract 11 destination',
      'customer 11 destination',
    ]),
  );
  for (const side of [twin.a, twin.b]) {
    expect(await side.rows('select id from customer where id in (1, 2, 11, 12) order by id')).toEqual(
      [1, 2, 11, 12].map((id) => ({ id })),
    );
    expect(await side.rows('select count(*)::int as n from customer where id between 21 and 40')).toEqual([
      { n: 5 },
    ]);
  }
  // Deletions that reach all children are no conflicts, in whatever order the stream has them.
  const before = log.length;
  await twin.a.query('delete from contract where nr between 15 and 17');
  await twin.settle();
  await twin.b.query(`delete from contract where nr >= 18 and nr <= 20; insert into contract values (50, 3);
    insert into line values (50, 1, 'x'); delete from contract where nr = 50`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect((await stateOf(twin)).log.length).toBe(before);
  // The parents that the follower has sent are forgotten once they have arrived, though none of its pulls is open.
  expect(
    await twin.a.superuserRows('select last_value from pgtwin.answer_id_seq where is_called'),
  ).not.toEqual([]);
  await until('answers are forgotten', async () => {
    await twin.settle();
    return (await twin.a.superuserRows('select from pgtwin.answer')).length === 0;
  });
});

test('delete-child: the child goes with the parent, and what refers to the child', async () => {
  await using twin = await openTwin(on, { schema, forward: { missingParent: 'delete-child' } });
  await crossed(twin, 'delete from customer where id = 1', 'insert into contract values (1, 1)');
  await crossed(
    twin,
    `insert into contract values (2, 2); insert into line values (2, 1, 'a')`,
    'delete from customer where id = 2',
  );
  expect(await twin.differences()).toEqual([]);
  expect(await stateOf(twin)).toEqual({
    orphans: [0, 0],
    log: ['contract 1 source', 'contract 2 source', 'line 1 2 source'],
  });
  expect(await twin.a.rows('select nr from contract where nr <= 2')).toEqual([]);
});

test('a foreign key that only the destination has is no conflict: what the source has is kept', async () => {
  const without = schema.replace('customer int references customer', 'customer int');
  await using twin = await openTwin(on, { schema: without, both: true });
  await twin.b.query(
    'alter table contract add constraint only_here foreign key (customer) references customer',
  );
  await twin.a.query('insert into contract values (3, 999)');
  await crossed(twin, 'insert into contract values (4, 4)', 'delete from customer where id = 4');
  expect(await twin.differences()).toEqual([]);
  expect((await stateOf(twin)).log).toEqual([]);
  expect(await twin.b.rows('select nr::int from contract where nr <= 4 order by nr')).toEqual([
    { nr: 3 },
    { nr: 4 },
  ]);
});
