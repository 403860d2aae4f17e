import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPlatform, openTwin, type TestPlatform } from '../support/twin.ts';
import { holdApply, inAllWays, MANY_STEPS_MS } from '../support/ways.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const big = (letter: string | number, length = 5000) => `repeat('${letter}', ${length})`;

test('large values that did not change are not sent, and not lost', { timeout: MANY_STEPS_MS }, async () => {
  const columns = 'one text, two text, n int not null default 0';
  const external = ['item', 'whole', 'indexed']
    .map((t) => `alter table ${t} alter one set storage external, alter two set storage external;`)
    .join(' ');
  const each = (sql: (table: string) => string) => ['item', 'whole', 'indexed'].map(sql).join('; ');
  await inAllWays(
    on,
    `create table item (id int primary key, ${columns});
     create table whole (id int primary key, ${columns}); alter table whole replica identity full;
     create table indexed (id int not null, ${columns}); create unique index by_id on indexed (id);
     alter table indexed replica identity using index by_id;
     ${external}
     ${each((t) => `insert into ${t} select g, ${big('a')} || g, ${big('b')} || g from generate_series(1, 9) g`)};
     create table by_text (k text primary key, one text, n int not null default 0);
     alter table by_text alter k set storage external, alter one set storage external;
     insert into by_text select ${big('k', 2500)} || g, ${big('o')} || g from generate_series(1, 5) g;
     create table by_text_whole (k text primary key, one text, n int not null default 0);
     alter table by_text_whole replica identity full;
     alter table by_text_whole alter k set storage external, alter one set storage external;
     insert into by_text_whole select ${big('k', 2500)} || g, ${big('o')} || g from generate_series(1, 5) g`,
    [
      [each((t) => `update ${t} set n = n + 1`)],
      [
        each((t) => `insert into ${t} values (10, ${big('x')}, ${big('y')})`),
        each((t) => `update ${t} set n = 5 where id = 10`),
        each((t) => `update ${t} set two = ${big('z')} where id = 10`),
      ],
      [
        each((t) => `update ${t} set one = ${big('p')} || id where id < 4`),
        each((t) => `update ${t} set two = ${big('q')} || id where id in (2, 3, 5)`),
        each((t) => `update ${t} set n = 7 where id in (1, 3, 6)`),
      ],
      [each((t) => `update ${t} set id = id + 100 where id in (1, 2)`)],
      [each((t) => `update ${t} set id = id + 100, n = 8, two = 'short' where id in (3, 4)`)],
      [
        each((t) => `delete from ${t} where id = 5`),
        each((t) => `insert into ${t} values (5, ${big('r')}, null)`),
        each((t) => `update ${t} set n = 9 where id = 5`),
      ],
      [
        each((t) => `update ${t} set one = null where id = 6`),
        each((t) => `update ${t} set n = 10 where id = 6`),
      ],
      [
        each((t) => `update ${t} set n = 11 where id = 7`),
        each((t) => `delete from ${t} where id = 7`),
        each((t) => `insert into ${t} values (7, ${big('s')}, '')`),
        each((t) => `delete from ${t} where id = 8`),
      ],
      ['update by_text set n = n + 1; update by_text_whole set n = n + 1'],
      [
        `update by_text set n = 5 where k like '%1'; update by_text_whole set n = 5 where k like '%1'`,
        `update by_text set one = 'x' where k like '%1'; update by_text_whole set one = 'x' where k like '%1'`,
        `update by_text set k = k || 'new' where k like '%2'; update by_text_whole set k = k || 'new' where k like '%2'`,
        `delete from by_text where k like '%3'; delete from by_text_whole where k like '%3'`,
        `update by_text set n = 6 where k like '%new'; update by_text_whole set n = 6 where k like '%new'`,
      ],
    ],
  );
});

test('keys change: one, chains, swaps, and keys that are used again', {
  timeout: MANY_STEPS_MS,
}, async () => {
  const t = 'item';
  await inAllWays(
    on,
    `create table item (id int primary key, t text, n int default 0, big text);
     alter table item alter big set storage external;
     insert into item select g, 'row ' || g, 0, repeat('x', 4000) || g from generate_series(1, 40) g;
     create table pair (a int, b text, n int, primary key (b, a));
     insert into pair select g, 'k' || g, g from generate_series(1, 10) g;`,
    [
      [`update ${t} set id = 101 where id = 1`],
      [
        `update ${t} set id = 102 where id = 2; update ${t} set id = 103 where id = 102; update ${t} set id = 104 where id = 103`,
      ],
      [
        `update ${t} set id = 202 where id = 3`,
        `update ${t} set id = 203 where id = 202`,
        `update ${t} set id = 3 where id = 203`,
      ],
      [
        `update ${t} set id = 0 where id = 5; update ${t} set id = 5 where id = 6; update ${t} set id = 6 where id = 0`,
      ],
      [
        `update ${t} set id = 0 where id = 7`,
        `update ${t} set id = 7 where id = 8`,
        `update ${t} set id = 8, n = 1 where id = 0`,
        `update ${t} set n = n + 1 where id in (7, 8)`,
      ],
      [`update ${t} set id = id + 1000 where id between 9 and 12`],
      [
        `update ${t} set id = 300 where id = 13; insert into ${t} values (13, 'new'); update ${t} set n = 5 where id in (13, 300)`,
      ],
      [`delete from ${t} where id = 15; update ${t} set id = 15, t = 'moved' where id = 14`],
      [
        `delete from ${t} where id = 17`,
        `update ${t} set id = 17 where id = 16`,
        `delete from ${t} where id = 17`,
        `insert into ${t} values (16, 'again'), (17, 'again')`,
      ],
      [
        `update ${t} set n = 1 where id = 18`,
        `update ${t} set id = 400, n = 2 where id = 18`,
        `delete from ${t} where id = 400`,
      ],
      [
        `insert into ${t} values (500, 'a')`,
        `update ${t} set id = 501 where id = 500`,
        `update ${t} set id = 500, t = 'b' where id = 501`,
      ],
      [
        `update pair set a = a + 100 where a = 1; update pair set b = b || '!' where a = 2; update pair set a = 3, b = 'k33' where a = 3`,
      ],
      [
        `update pair set a = 0 where a = 4; update pair set a = 4, b = 'k4' where a = 5; update pair set a = 5, b = 'k5' where a = 0`,
      ],
      [
        `delete from pair where a = 6`,
        `insert into pair values (6, 'k6', 66)`,
        `update pair set n = 67 where a = 6`,
      ],
    ],
  );
});

test('unique values change hands: in one transaction, in several, in one statement', {
  timeout: MANY_STEPS_MS,
}, async () => {
  await inAllWays(
    on,
    `create table item (id int primary key, n int unique, t text);
     insert into item select g, g, 'x' from generate_series(10, 1, -1) g;
     create table later (id int primary key, n int, constraint later_n unique (n) deferrable initially immediate);
     insert into later select g, g from generate_series(1, 10) g;
     create table latest (id int primary key, n int, m int, constraint latest_n unique (n) deferrable initially deferred);
     insert into latest select g, g from generate_series(1, 10) g;
     create table part (id int primary key, email text, active bool not null default true);
     create unique index part_active on part (email) where active;
     create unique index part_lower on part (lower(email), active);
     insert into part select g, 'User' || g from generate_series(1, 10) g;
     create table room (id int primary key, during int4range, exclude using gist (during with &&));
     insert into room select g, int4range(g * 10, g * 10 + 10) from generate_series(1, 10) g;
     create table nulls (id int primary key, n int, m int, unique nulls not distinct (n, m));
     insert into nulls values (1, null, null), (2, null, 1), (3, 1, null);`,
    [
      [
        `update item set n = 99 where id = 1; update item set n = 1 where id = 2; update item set n = 2 where id = 1`,
      ],
      [
        `update item set n = 99 where id = 3`,
        `update item set n = 3 where id = 4`,
        `update item set n = 4 where id = 3`,
      ],
      ['update item set n = n + 1 where id between 5 and 10'],
      ['update later set n = n + 1'],
      ['update later set n = 12 - n'],
      ['update latest set n = 2 where id = 1; update latest set n = 1 where id = 2'],
      ['update latest set n = n + 1; update latest set m = 1', 'update latest set n = n - 1, m = 2'],
      ['delete from item where id = 1; insert into item select 20, n, t from item where id = 2 and false'],
      [
        'delete from item where id = 2',
        'insert into item values (21, 1, null)',
        'update item set t = 3 where id = 21',
      ],
      [
        'update item set n = 50 where id = 5',
        'insert into item values (22, 6, null)',
        'update item set n = 6 where id = 5 and false',
      ],
      [
        'delete from item where id = 6',
        'update item set n = 7 where id = 5',
        'insert into item values (6, 50, null)',
      ],
      [`update part set active = false where id = 1; insert into part values (11, 'User1')`],
      [
        `update part set email = 'x' where id = 2`,
        `update part set email = 'USER2' where id = 3`,
        `update part set email = 'user3' where id = 2`,
      ],
      [
        `delete from part where id = 4; insert into part values (12, 'user4'); update part set email = 'User4' where id = 12`,
      ],
      [
        `update room set during = '[0,5)' where id = 1; update room set during = '[10,20)' where id = 2; update room set during = '[20,30)' where id = 1`,
      ],
      [
        `delete from room where id = 3`,
        `update room set during = '[30,50)' where id = 4`,
        `insert into room values (11, '[100,110)') on conflict do nothing`,
      ],
      [
        'update nulls set n = 5 where id = 1; update nulls set m = null where id = 2; update nulls set m = 1, n = null where id = 1',
      ],
    ],
  );
});

test('identities of every kind: an index, whole rows, keys whose equal values print differently', {
  timeout: MANY_STEPS_MS,
}, async () => {
  await inAllWays(
    on,
    `create table indexed (a int not null, b text not null, n int, unique (b, a)); alter table indexed replica identity using index indexed_b_a_key;
     insert into indexed select g, 'k' || g from generate_series(1, 9) g;
     create table whole (id int primary key, t text, n int); alter table whole replica identity full;
     insert into whole select g, 't' || g from generate_series(1, 9) g;
     create table whole_unique (t text, id int not null unique, n int); alter table whole_unique replica identity full;
     insert into whole_unique select 't' || g, g from generate_series(1, 9) g;
     create table other_index (id int primary key, code text not null unique, n int); alter table other_index replica identity using index other_index_code_key;
     insert into other_index select g, 'c' || g from generate_series(1, 9) g;
     create table by_numeric (k numeric, l char(4), n int, primary key (k, l));
     insert into by_numeric select g::numeric(4,1), 'a' || g from generate_series(1, 9) g;
     create table one_numeric (k numeric primary key, n int);
     insert into one_numeric select g::numeric(4,1) from generate_series(1, 9) g;
     create table by_float (k float8 primary key, n int); insert into by_float values (0), (1), ('NaN'), ('Infinity');
     create collation if not exists public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     create table by_ci (k text collate public.ci primary key, n int); insert into by_ci select 'key' || g from generate_series(1, 9) g;
     create type mood as enum ('a', 'b'); create domain code as text check (value <> '');
     create table by_types (m mood, c code, t timestamptz, u uuid, b bytea, i inet, n int, primary key (m, c, t, u, b, i));
     insert into by_types select 'a', 'c' || g, '2024-01-01'::timestamptz + g * interval '1 us', gen_random_uuid(), '\\x00ff', '10.0.0.1/8' from generate_series(1, 9) g;
     create table by_jsonb (k jsonb primary key, n int); insert into by_jsonb values ('{"a": 1.0}'), ('[]');
     create table by_array (k int[] primary key, r int4range not null unique, n int); insert into by_array values ('{1,null}', '[1,2)'), ('{}', 'empty');`,
    [
      [
        'update indexed set n = 1; update whole set n = 1; update whole_unique set n = 1; update other_index set n = 1',
      ],
      [
        'update indexed set a = 10 where a = 1; update whole set id = 10 where id = 1; update whole_unique set id = 10 where id = 1; update other_index set code = code || 1 where id = 1',
        'update indexed set n = 2 where a = 10; update whole set n = 2 where id = 10; update whole_unique set n = 2 where id = 10; update other_index set id = 100, n = 2 where id = 1',
      ],
      [
        'delete from indexed where a = 2; delete from whole where id = 2; delete from whole_unique where id = 2; delete from other_index where id = 2',
      ],
      [
        `delete from indexed where a = 3; delete from whole where id = 3; delete from whole_unique where id = 3; delete from other_index where id = 3`,
        `insert into indexed values (3, 'k3', 7); insert into whole values (3, 'again', 7); insert into whole_unique values ('again', 3, 7); insert into other_index values (3, 'c3', 7)`,
      ],
      [
        'update by_numeric set n = 1; update one_numeric set n = 1; update by_float set n = 1; update by_ci set n = 1; update by_types set n = 1; update by_jsonb set n = 1; update by_array set n = 1',
      ],
      ['update by_numeric set k = 1.00 where k = 1; update one_numeric set k = 1.00 where k = 1'],
      ['update by_numeric set k = 2.00, n = 5 where k = 2', 'update by_numeric set n = 6 where k = 2'],
      ['update one_numeric set k = 2.00, n = 5 where k = 2', 'update one_numeric set n = 6 where k = 2'],
      [
        'delete from one_numeric where k = 3',
        'insert into one_numeric values (3.000, 1)',
        'update one_numeric set n = 2 where k = 3',
      ],
      [
        'delete from one_numeric where k = 3; insert into one_numeric values (3, 1); delete from one_numeric where k = 4; insert into one_numeric values (4.00, 5)',
      ],
      [
        'delete from one_numeric where k = 4',
        'insert into one_numeric values (4, 7)',
        'delete from one_numeric where k = 4',
        'insert into one_numeric values (4.0000, 8)',
      ],
      [
        `update by_float set k = '-0' where k = 0`,
        `update by_float set n = 4 where k = 0`,
        `delete from by_float where k = 'NaN'`,
      ],
      [
        `update by_ci set k = upper(k) where k < 'key4'`,
        `update by_ci set n = 5 where k = 'key1'`,
        `delete from by_ci where k = 'Key2'; insert into by_ci values ('Key2', 6)`,
      ],
      [
        `update by_types set c = c || 'x', m = 'b' where c < 'c4'`,
        `update by_types set n = 3 where m = 'b'`,
        `delete from by_types where c = 'c5'`,
      ],
      [
        `update by_jsonb set k = '{"a": 1.00}' where n = 1 and k <> '[]'; delete from by_jsonb where k = '[]'; update by_array set r = '[5,6)' where k <> '{}'; delete from by_array where k = '{}'`,
      ],
    ],
  );
});

test('TRUNCATE: of one table and several, with CASCADE, before and behind other changes', {
  timeout: MANY_STEPS_MS,
}, async () => {
  await inAllWays(
    on,
    `create table parent (id int primary key, n int);
     create table child (id int primary key, parent int references parent on delete cascade);
     create table item (id int generated always as identity primary key, t text);
     create table other (id int primary key);
     insert into parent select g, g from generate_series(1, 100) g; insert into child select g, g from generate_series(1, 100) g;
     insert into item (t) select 'x' from generate_series(1, 100); insert into other select generate_series(1, 100);`,
    [
      ['truncate item'],
      [`insert into item (t) values ('a'), ('b'); truncate item; insert into item (t) values ('c')`],
      [
        `insert into item (t) values ('d')`,
        'truncate item, other restart identity',
        `insert into item (t) values ('e')`,
        'insert into other values (1)',
        'update item set t = t || t',
      ],
      ['truncate child'],
      [
        'insert into child values (1, 1), (2, 2)',
        'update parent set n = 5 where id = 3',
        'truncate parent cascade',
        'insert into parent values (1, 1)',
        'insert into child values (1, 1)',
      ],
      [
        'truncate parent, child, item, other; insert into parent values (7, 7); insert into child values (7, 7)',
      ],
      ['delete from child', 'truncate child', 'truncate child'],
      ['savepoint one; truncate parent cascade; rollback to one; insert into parent values (8, 8)'],
    ],
  );
});

test('identity and generated columns', { timeout: MANY_STEPS_MS }, async () => {
  await inAllWays(
    on,
    `create table always (id int generated always as identity primary key, n int, doubled int generated always as (n * 2) stored, one text);
     alter table always alter one set storage external;
     insert into always (n, one) select g, ${big('a')} from generate_series(1, 10) g;
     create table only_large (id int generated always as identity primary key, one text);
     alter table only_large alter one set storage external;
     insert into only_large (one) select ${big('a')} || g from generate_series(1, 10) g;
     create table only_key (id int generated always as identity primary key);
     insert into only_key select from generate_series(1, 10);
     create table numbered (k text primary key, number int generated always as identity, n int, unique (number));
     insert into numbered (k) select 'k' || g from generate_series(1, 10) g;
     create table by_default (id int generated by default as identity primary key, s serial, n int);
     insert into by_default (n) select generate_series(1, 10);`,
    [
      [
        'insert into always (n) values (20); update always set n = n + 1 where id < 4; delete from always where id = 5',
      ],
      [
        'insert into always overriding system value values (1000, 5)',
        'update always set n = 6 where id = 1000',
        'delete from always where id = 1000',
      ],
      ['update only_large set one = one where id < 3', 'update only_large set one = one || 1 where id = 4'],
      ['update only_key set id = default where id = 1', 'delete from only_key where id = 2'],
      [
        'update always set id = default where id = 1',
        'update always set n = 3 where id = 2; update always set id = default, n = 9 where id = 2',
      ],
      [`update numbered set number = default where k = 'k1'`],
      [
        `update numbered set n = 1`,
        `update numbered set number = default, n = 2 where k in ('k2', 'k3')`,
        `update numbered set n = 3 where k = 'k3'`,
      ],
      [
        `delete from numbered where k = 'k4'`,
        `insert into numbered (k) values ('k4')`,
        `update numbered set k = 'k44' where k = 'k4'`,
      ],
      [
        'update by_default set id = id + 100, s = s + 100 where id < 5',
        'insert into by_default values (1, 1, 1)',
      ],
    ],
  );
});

test('partitioned tables and tables that inherit', { timeout: MANY_STEPS_MS }, async () => {
  await inAllWays(
    on,
    `create table measure (id int, day date, v int, big text, primary key (id, day)) partition by range (day);
     create table measure_1 partition of measure for values from ('2024-01-01') to ('2024-02-01');
     create table measure_2 partition of measure for values from ('2024-02-01') to ('2024-03-01') partition by list (id);
     create table measure_2a partition of measure_2 default;
     alter table measure_1 alter big set storage external; alter table measure_2a alter big set storage external;
     insert into measure select g, '2024-01-01', 0, ${big('m')} from generate_series(1, 10) g;
     create table animal (id int primary key, name text);
     create table bird (wings int, primary key (id)) inherits (animal);
     insert into animal select g, 'animal ' || g from generate_series(1, 10) g;
     insert into bird select g, 'bird ' || g, 2 from generate_series(1, 10) g;`,
    [
      [
        `insert into measure select g, '2024-02-02', 0, ${big('n')} from generate_series(11, 20) g; update measure set v = 1 where id in (1, 11)`,
      ],
      [
        `update measure set day = '2024-02-03' where id = 2`,
        `update measure set day = '2024-01-03', v = 2 where id = 12`,
        'update measure set v = 3 where id in (2, 12)',
      ],
      ['delete from measure where id in (3, 13)'],
      [
        `update only animal set name = 'x' where id = 1`,
        `update bird set name = 'y', wings = 3 where id = 2`,
      ],
      [
        'update only animal set id = 101 where id = 3',
        'update bird set id = 102 where id = 4',
        'delete from only animal where id = 5',
        'delete from bird where id = 6',
      ],
      [
        'delete from animal where id = 7',
        `insert into animal values (7, 'again')`,
        `update animal set name = 'all' where id in (1, 2, 7)`,
      ],
      ['truncate only animal', `insert into animal values (200, 'x')`],
      ['truncate animal', `insert into bird values (1, 'b', 2)`, `insert into animal values (1, 'b')`],
      ['truncate measure', `insert into measure values (1, '2024-01-01')`],
    ],
  );
});

test('transactions over several tables, foreign keys, savepoints, many columns, nothing at all', {
  timeout: MANY_STEPS_MS,
}, async () => {
  const many = Array.from({ length: 300 }, (_, i) => `column_number_${i} text`).join(', ');
  const set = (from: number, to: number, value: string) =>
    Array.from({ length: to - from }, (_, i) => `column_number_${from + i} = ${value}`).join(', ');
  await inAllWays(
    on,
    `create table parent (id int primary key, t text);
     create table child (id int primary key, parent int references parent deferrable initially deferred, self int references child);
     insert into parent select g, 't' from generate_series(1, 10) g; insert into child select g, g, null from generate_series(1, 10) g;
     create table wide (id int primary key, ${many});
     ${[0, 1, 2, 3].map((i) => `alter table wide alter column_number_${290 + i} set storage external;`).join(' ')}
     insert into wide (id) select generate_series(1, 10); update wide set ${set(290, 294, big('w'))};
     create table no_columns (id int primary key);
     create function no_change() returns trigger language plpgsql as 'begin return null; end';`,
    [
      [
        'insert into child values (20, 20); insert into parent values (20)',
        `update child set self = 20 where id = 1`,
      ],
      [
        `update child set parent = 2 where id = 3`,
        `delete from parent where id = 3`,
        `insert into parent values (30)`,
        `update child set parent = 30 where id = 3`,
      ],
      [`insert into child values (40, 1, 40), (41, 1, 40)`, `delete from child where id in (40, 41)`],
      [
        `savepoint one; insert into parent values (50); savepoint two; insert into parent values (51); rollback to two; update parent set t = 's' where id = 50; release two; insert into child values (50, 50); rollback to one; insert into parent values (52)`,
      ],
      [
        `savepoint one; update parent set t = 'sub' where id = 1; release one; savepoint two; update parent set t = t || '2' where id = 1; delete from child where id = 2; release two`,
      ],
      [``, `select 1`, `savepoint one; insert into parent values (60); rollback to one`],
      [
        `update wide set ${set(0, 290, `'x'`)} where id < 5`,
        `update wide set column_number_290 = 'short' where id = 1`,
        `update wide set column_number_291 = 'short' where id = 2`,
        `update wide set column_number_292 = 'short' where id = 3`,
        `update wide set column_number_5 = 'y' where id = 4`,
      ],
      [
        `insert into no_columns select generate_series(1, 100)`,
        `delete from no_columns where id < 50`,
        `update no_columns set id = -id where id < 60`,
      ],
      [
        `insert into parent select g from generate_series(1000, 5000) g; update parent set t = 'many' where id > 2000; delete from parent where id > 4000`,
      ],
    ],
  );
});

test('triggers of the destination do not fire, unless ENABLE ALWAYS says so', async () => {
  await using twin = await openTwin(on, { schema: 'create table item (id int primary key, t text)' });
  await twin.b.query(`
    create unlogged table fired (name text);
    create function note() returns trigger language plpgsql as
      'begin insert into public.fired values (tg_argv[0] || tg_op || tg_level); return new; end';
    create trigger plain before insert or update or delete on item for each row execute function note('plain ');
    create trigger statement after insert or update or delete on item execute function note('plain ');
    create trigger always after insert or update or delete on item for each row execute function note('always ');
    alter table item enable always trigger always;`);
  await twin.a.query(`insert into item values (1, 'a'), (2, 'b')`);
  // In one batch they would be netted: one insert, and nothing of the row that is deleted again.
  await twin.settle();
  await twin.a.query(`update item set t = 'c' where id = 1`);
  await twin.a.query('delete from item where id = 2');
  await twin.settle();
  expect(await twin.differences()).toEqual([expect.objectContaining({ table: 'public.fired' })]);
  expect(await twin.b.rows('select name, count(*)::int as n from fired group by name order by name')).toEqual(
    [
      { name: 'always DELETEROW', n: 1 },
      { name: 'always INSERTROW', n: 2 },
      { name: 'always UPDATEROW', n: 1 },
    ],
  );
});

test('a column that only the destination has keeps its values', async () => {
  await using twin = await openTwin(on, {
    schema: `create table item (id int primary key, t text); insert into item values (1, 'a'), (2, 'b')`,
    oneWay: true,
  });
  await twin.b.query(
    `alter table item add column note text default 'none'; update item set note = 'mine' where id = 1`,
  );
  await twin.a.query(`insert into item values (3, 'c'); update item set t = 'd'`);
  await twin.a.query(`update item set id = 4 where id = 1`);
  await twin.settle();
  expect(await twin.b.rows('select * from item order by id')).toEqual([
    { id: 2, t: 'd', note: 'none' },
    { id: 3, t: 'd', note: 'none' },
    { id: 4, t: 'd', note: 'mine' },
  ]);
});

test('a column that the destination lacks: the task waits, says so, and goes on when it is there', async () => {
  await using twin = await openTwin(on, {
    schema: `create table item (id int primary key, t text, extra text);
      insert into item select g, 'row', 'x' from generate_series(1, 10) g; create table other (id int primary key)`,
  });
  await twin.b.query('alter table item drop column extra');
  await twin.a.query(`insert into other values (1)`);
  await twin.a.query(`update item set extra = 'y' where id < 5; insert into other values (2)`);
  await twin.a.query(`insert into item values (11, 'new', 'z'); delete from item where id = 10`);
  await twin.reach('forward', 'Retrying');
  const { error } = await twin.task('forward');
  expect(error).toMatchObject({
    code: 'column-missing',
    detail: expect.stringContaining('public.item.extra'),
  });
  await twin.a.query(`update item set extra = extra || id; insert into other values (3)`);
  await twin.b.query('alter table item add column extra text');
  await twin.reach('forward', 'Running');
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.b.rows('select count(*)::int as n from other')).toEqual([{ n: 3 }]);
});

test('columns come and go while changes are on their way', async () => {
  await using twin = await openTwin(on, {
    schema: `create table item (id int primary key, gone text, t text); insert into item select g, 'g', 't' from generate_series(1, 5) g`,
  });
  const release = await holdApply(twin);
  for (const sql of [
    `update item set t = 'before' where id = 1; insert into item values (6, 'g', 'before')`,
    `begin; update item set t = 'in' where id = 2; alter table item add column if not exists added text default 'd';
     update item set added = 'new' where id in (1, 2); insert into item values (7, 'g', 'x', 'y'); commit`,
    `update item set t = 'after', added = id where id in (1, 6, 7)`,
    'alter table item drop column if exists gone',
    `update item set t = 'last' where id in (2, 3, 6); insert into item values (8, 'eight', 'e'); delete from item where id = 7`,
    `insert into item values (7, 'seven', 's')`,
  ])
    await twin.a.query(sql);
  await twin.b.query(`alter table item add column if not exists added text default 'd'`);
  await release();
  await twin.settle();
  await twin.b.query('alter table item drop column if exists gone');
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.conflicts()).toEqual([]);
});

test('a replica identity that no longer has the key stops the task, by name', async () => {
  await using twin = await openTwin(on, {
    schema: `create table item (id int primary key, code text not null unique);
      insert into item select g, g from generate_series(1, 5) g;`,
  });
  await twin.a.query(
    'alter table item replica identity using index item_code_key; delete from item where id = 1',
  );
  await twin.reach('forward', 'Failed');
  const { error } = await twin.task('forward');
  expect(error).toMatchObject({
    code: 'no-replica-identity',
    detail: expect.stringContaining('public.item'),
  });
  await twin.a.query('alter table item replica identity default');
  expect(await twin.b.rows('select count(*)::int as n from item')).toEqual([{ n: 5 }]);
});

test('both sides take one value of a deferrable unique constraint: one row wins on both', async () => {
  await using twin = await openTwin(on, {
    schema: `create table later (id int primary key, n int, constraint later_n unique (n) deferrable initially deferred);
      create table latest (id int primary key, n int, constraint latest_n unique (n) deferrable);
      insert into latest values (10, 10), (20, 20);`,
  });
  const release = await holdApply(twin);
  await twin.a.query('insert into later values (1, 5); update latest set n = 30 where id = 10');
  await twin.b.query('insert into later values (2, 5); update latest set n = 30 where id = 20');
  await release();
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  for (const side of [twin.a, twin.b])
    expect(
      await side.rows(
        `select (select count(*)::int from later where n = 5) as later, (select count(*)::int from latest where n = 30) as latest`,
      ),
    ).toEqual([{ later: 1, latest: 1 }]);
});
