import { expect, test } from 'vitest';
import { checkShards, withShards } from '../../functions/capture/shard-plan.ts';
import { idOf, readShardFacts } from '../../shared/postgres/shard-facts.ts';
import { shardOfName } from '../../shared/stream/shard.ts';
import { readPrepared } from '../../shared/task/prepared.ts';
import { type Direction, taskIdOf } from '../../shared/task/schema.ts';
import type { Table } from '../../shared/task/table.ts';
import { type CopyTwin, openCopyTwin } from '../support/copy-twin.ts';
import { openDatabase } from '../support/database.ts';
import { openPlatform, openTwin } from '../support/twin.ts';

const SHARDS = 4;
const everything = { objects: { include: [{ schema: 'public' }] } };
const numberOf = (name: string): number => shardOfName(idOf({ schema: 'public', name }), SHARDS);

/** Where a task's tables go, by name. */
async function placesOf({ table, pair }: CopyTwin, direction: Direction) {
  const prepared = await readPrepared(table, taskIdOf(pair, direction));
  return Object.fromEntries(prepared!.list.map(({ name, shard }) => [name, shard]));
}

const beside = 'it has a unique index or exclusion constraint beside its primary key';
const type = 'equal values of its key may be printed in different ways, or are generated';
const tied = 'a foreign key goes from or to it';
const identity = 'its replica identity is neither the primary key nor FULL';

/** Tables with what a database says of them. */
const kinds: readonly [name: string, sql: string, reason: string | null][] = [
  ['whole', 'create table whole (id int primary key, v text)', null],
  [
    'wide',
    `create table wide (a uuid, b text, c date, d timestamptz, e bool, f int2, g int8, h timestamp, i varchar(9), j jsonb,
       primary key (i, h, g, f, e, d, c, b, a) include (j))`,
    null,
  ],
  ['wholly', 'create table wholly (id int primary key); alter table wholly replica identity full', null],
  [
    'parted',
    `create table parted (id int primary key, v int) partition by hash (id);
     create table parted_0 partition of parted for values with (modulus 2, remainder 0);
     create table parted_1 partition of parted for values with (modulus 2, remainder 1)`,
    null,
  ],
  [
    'unique_leaf',
    `create table unique_leaf (id int primary key, v int) partition by hash (id);
     create table unique_leaf_0 partition of unique_leaf for values with (modulus 1, remainder 0);
     create unique index on unique_leaf_0 (v)`,
    beside,
  ],
  ['more', 'create table more (id int primary key, v int unique)', beside],
  ['lately', 'create table lately (id int primary key, v int unique deferrable)', beside],
  [
    'partly',
    'create table partly (id int primary key, v int); create unique index on partly (v) where v > 0',
    beside,
  ],
  [
    'broken',
    'create table broken (id int primary key, v int); insert into broken values (1, 1), (2, 1)',
    beside,
  ],
  ['ranges', 'create table ranges (id int primary key, r int4range, exclude using gist (r with &&))', beside],
  [
    'by_index',
    'create table by_index (id int primary key); alter table by_index replica identity using index by_index_pkey',
    identity,
  ],
  ['numeric_key', 'create table numeric_key (id numeric primary key)', type],
  ['char_key', 'create table char_key (id char(4) primary key)', type],
  ['domain_key', 'create domain number as int; create table domain_key (id number primary key)', type],
  [
    'folded_key',
    `create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     create table folded_key (id text collate folded primary key)`,
    type,
  ],
  ['made_key', 'create table made_key (v int, id int generated always as (v * 2) stored primary key)', type],
  [
    'late_key',
    'create table late_key (id int primary key deferrable); alter table late_key replica identity full',
    'its primary key is deferrable',
  ],
  [
    'leaf_identity',
    `create table leaf_identity (id int primary key) partition by list (id);
     create table leaf_identity_1 partition of leaf_identity default;
     alter table leaf_identity_1 replica identity nothing`,
    identity,
  ],
  ['parent', 'create table parent (id int primary key)', tied],
  ['child', 'create table child (id int primary key, parent int references parent)', tied],
  ['grandchild', 'create table grandchild (id int primary key, child int references child)', tied],
  [
    'of_leaf',
    `create table of_leaf (id int primary key) partition by list (id);
     create table of_leaf_1 partition of of_leaf default;
     create table to_leaf (id int primary key references of_leaf_1)`,
    tied,
  ],
  ['itself', 'create table itself (id int primary key, above int references itself)', tied],
  [
    'inside',
    'create table outside (id int primary key); create table inside (id int primary key references outside)',
    tied,
  ],
];

test('each reason, of real tables; both tasks send every table to the same place', async () => {
  await using twin = await openCopyTwin({ shards: SHARDS });
  for (const [, sql] of kinds) await twin.a.query(sql);
  const concurrently = twin.a.query('create unique index concurrently on broken (v)');
  await expect(concurrently).rejects.toThrow(/could not create unique index/);
  // The same on side b, but for what only that one has.
  await twin.b.query(`create table more_there (id int primary key, v int unique);
    create table other_key (id int primary key); create table only_here (id int primary key)`);
  await twin.a.query(`create table more_there (id int primary key, v int);
    create table other_key (id int8 primary key); create table filtered (id int primary key);
    create table one_way (id int primary key)`);

  const names = [...kinds.map(([name]) => name), 'gone'].map((name) => ({ schema: 'public', name }));
  const { reasons, references } = await readShardFacts(twin.a.client, names);
  const reasonOf = (name: string) => reasons.get(idOf({ schema: 'public', name })) ?? null;
  expect(kinds.map(([name]) => [name, reasonOf(name)])).toEqual(
    kinds.map(([name, , reason]) => [name, reason]),
  );
  expect(references.map((pair) => pair.map(({ name }) => name))).toEqual(
    expect.arrayContaining([
      ['child', 'parent'],
      ['grandchild', 'child'],
    ]),
  );

  const objects = {
    ...everything.objects,
    exclude: ['outside', 'late_key', 'leaf_identity'].map((table) => ({ schema: 'public', table })),
  };
  const filters = [{ schema: 'public', table: 'filtered', where: 'id > 0' }];
  const without = [...objects.exclude, { schema: 'public', table: 'one_way' }];
  const config = { conflictingTables: 'ignore' };
  await twin.configure(
    'reverse',
    { ...config, objects: { ...objects, exclude: without } },
    { autoStart: true },
  );
  await twin.configure('forward', { ...config, objects: { ...objects, filters } }, { start: true });
  await twin.initialize('forward');
  const forward = await placesOf(twin, 'forward');
  const keyed = ['parted', 'whole', 'wholly', 'wide'];
  expect(
    Object.keys(forward)
      .filter((name) => forward[name] === 'key')
      .sort(),
  ).toEqual(keyed);
  for (const name of ['child', 'grandchild', 'parent']) expect(forward[name]).toBe(numberOf('child'));
  expect(forward['to_leaf']).toBe(numberOf('of_leaf'));
  for (const name of ['more_there', 'other_key', 'filtered', 'one_way', 'inside', 'itself', 'broken'])
    expect([name, forward[name]]).toEqual([name, numberOf(name)]);

  const { one_way: _one, ...shared } = forward;
  const prepared = await placesOf(twin, 'reverse');
  expect(prepared).toEqual({ ...shared, only_here: numberOf('only_here') });
  // Begun by itself, the reverse task goes by the same plan.
  await twin.repository.move(taskIdOf(twin.pair, 'reverse'), 'start', { cause: 'test', actor: 'test' });
  await twin.initialize('reverse');
  expect(await placesOf(twin, 'reverse')).toEqual(prepared);
});

test('with other names on side b, the reverse task sends a table where the forward task does', async () => {
  await using twin = await openCopyTwin({
    a: {
      schema:
        'create table item (id int primary key); create table part (id int primary key references item)',
    },
    shards: 16,
  });
  const names = [
    { schema: 'public', table: 'item', to: 'x_item' },
    { schema: 'public', table: 'part', to: 'a_part' },
  ];
  const back = names.map(({ schema, table, to }) => ({ schema, table: to, to: table }));
  const objects = everything.objects;
  await twin.configure('reverse', { objects: { ...objects, mapping: { names: back } } }, { autoStart: true });
  await twin.configure('forward', { objects: { ...objects, mapping: { names } } }, { start: true });
  await twin.initialize('forward');
  const shard = shardOfName(idOf({ schema: 'public', name: 'item' }), 16);
  expect(await placesOf(twin, 'forward')).toEqual({ item: shard, part: shard });
  expect(await placesOf(twin, 'reverse')).toEqual({ x_item: shard, a_part: shard });
});

test('a table that comes later goes by its name; the others stay where they are', async () => {
  await using twin = await openCopyTwin({
    a: { schema: 'create table item (id int primary key)' },
    shards: SHARDS,
  });
  await twin.configure('forward', everything, { start: true });
  await twin.initialize('forward');
  await twin.a.query('create table later (id int primary key)');
  await twin.initialize('forward');
  expect(await placesOf(twin, 'forward')).toEqual({ item: 'key', later: numberOf('later') });
  await twin.a.query('create table part (id int primary key, item int references item)');
  await expect(twin.initialize('forward')).rejects.toThrow(/public.item .* but on side a a foreign key/);
  await twin.a.query('drop table part');
  await twin.initialize('forward');
});

const why = { cause: 'test', actor: 'test' };
const notKept = { code: 'shards-not-kept', detail: '', advice: '', at: '' };

/** A task as if its capture had failed with what the plan met, and then restarted. */
async function restart({ repository, pair }: CopyTwin, direction: Direction): Promise<void> {
  const task = taskIdOf(pair, direction);
  await repository.move(task, 'give-up', { ...why, error: notKept });
  await repository.move(task, 'restart', why);
}

test('what stands in the way later is refused; when both tasks are restarted the tables are spread anew', async () => {
  await using twin = await openCopyTwin({
    a: { schema: 'create table item (id int primary key, v int)' },
    shards: SHARDS,
  });
  const { repository, pair, table } = twin;
  const check = async (direction: Direction) => {
    const task = await repository.getTask(taskIdOf(pair, direction));
    const [source, destination] = direction === 'forward' ? [twin.a, twin.b] : [twin.b, twin.a];
    const clients = { source: source.client, destination: destination.client };
    const { list } = (await readPrepared(table, task.id))!;
    await checkShards({ task, config: await repository.getConfig(task), table, ...clients }, list);
  };
  const [forward, reverse] = [taskIdOf(pair, 'forward'), taskIdOf(pair, 'reverse')];
  await twin.configure('reverse', everything, { autoStart: true });
  await twin.configure('forward', everything, { start: true });
  await twin.initialize('forward');
  await repository.move(reverse, 'start', why);
  await twin.initialize('reverse');
  await check('forward');
  await check('reverse');

  await twin.b.query('create unique index later on item (v)');
  const refusal = { code: 'shards-not-kept', facts: { table: 'public.item' } };
  for (const direction of ['forward', 'reverse'] as const) {
    await expect(check(direction)).rejects.toMatchObject(refusal);
    await expect(check(direction)).rejects.toThrow(
      `Rows of public.item go to shards by their keys, but on side b ${beside}.`,
    );
    await expect(twin.initialize(direction)).rejects.toMatchObject(refusal);
  }
  // One alone can not have it otherwise while the other one goes by the plan.
  await restart(twin, 'forward');
  await expect(twin.initialize('forward')).rejects.toMatchObject(refusal);
  await restart(twin, 'reverse');
  await twin.initialize('reverse');
  expect(await placesOf(twin, 'reverse')).toEqual({ item: numberOf('item') });
  // Taken up again instead of restarted: it has no part in the plan.
  await expect(check('forward')).rejects.toThrow(/since the opposite task was restarted/);
  await twin.initialize('forward');
  expect(await placesOf(twin, 'forward')).toEqual({ item: numberOf('item') });
  await check('forward');
  await check('reverse');
  expect((await table.get(forward, 'shards'))?.body).toMatchObject({
    byKey: [],
    runs: { [forward]: 2, [reverse]: 2 },
  });
});

test('a task that is configured later must leave the rows as they are', async () => {
  await using twin = await openCopyTwin({
    a: { schema: 'create table item (id int primary key, v int)' },
    shards: SHARDS,
  });
  await twin.configure('forward', everything, { start: true });
  await twin.initialize('forward');
  expect(await placesOf(twin, 'forward')).toEqual({ item: 'key' });
  const filters = [{ schema: 'public', table: 'item', where: 'v > 0' }];
  await twin.configure('reverse', { objects: { ...everything.objects, filters } }, { start: true });
  await expect(twin.initialize('reverse')).rejects.toThrow(/public.item .* but its rows are filtered/);
});

test('two tasks that begin at the same moment agree on one plan', async () => {
  await using a = await openDatabase('a', { schema: 'create table item (id int primary key, v int)' });
  await using twin = await openCopyTwin({
    a: { schema: 'create table item (id int primary key, v int)' },
    b: { schema: 'create table item (id int primary key, v int)' },
    shards: SHARDS,
  });
  const { repository, pair } = twin;
  for (const direction of ['forward', 'reverse'] as const)
    await twin.configure(direction, everything, { start: true });
  // Each has read that there is no plan before the other one writes its own.
  let reads = 0;
  let both: () => void = () => {};
  const met = new Promise<void>((resolve) => {
    both = resolve;
  });
  const table: Table = {
    ...twin.table,
    async get(pk, sk) {
      const item = await twin.table.get(pk, sk);
      if (sk !== 'shards' || reads >= 2) return item;
      reads += 1;
      if (reads === 2) both();
      await met;
      return item;
    },
  };
  const join = async (direction: Direction) => {
    const task = await repository.getTask(taskIdOf(pair, direction));
    const config = await repository.getConfig(task);
    const other = await repository.getTask(taskIdOf(pair, direction === 'forward' ? 'reverse' : 'forward'));
    const opposite = { task: other, config: await repository.getConfig(other) };
    // They do not see the same: what only one of them saw must not count for it alone.
    const [source, destination] = direction === 'forward' ? [twin.a, twin.b] : [twin.b, a];
    if (direction === 'reverse') await a.query('create unique index on item (v)');
    const list = [{ schema: 'public', name: 'item', key: ['id'] }];
    const options = { task, config, opposite, arbiter: 'b' as const, shards: SHARDS, table };
    const clients = { source: source.client, destination: destination.client };
    return (await withShards({ ...options, ...clients }, list))[0]!.shard;
  };
  const joined = await Promise.allSettled([join('forward'), join('reverse')]);
  const places = joined.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  expect(new Set(places).size).toBe(1);
  // The one that was later either goes by the same plan, or finds that it does not fit what it sees.
  for (const each of joined)
    if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'shards-not-kept' });
});

test('a unique index that is added later stops the task; without it, it goes on', async () => {
  await using on = await openPlatform();
  await using twin = await openTwin(on, {
    schema: 'create table item (id int primary key, v int)',
    shards: SHARDS,
  });
  await twin.a.query('insert into item values (1, 1)');
  await twin.settle();
  const { status } = await on.call<{ status: { notes: string[] } }>(
    'GET',
    `/v1/pairs/${twin.pair}/tasks/forward`,
  );
  expect(status.notes.join()).toMatch(/not whole .* 4 shards, .* By key: 1 of 1 tables; by table: 0\. /);
  await twin.act('forward', 'pause');
  await twin.reach('forward', 'Paused');
  await twin.b.query('create unique index later on item (v)');
  await twin.act('forward', 'resume');
  await twin.reach('forward', 'Failed');
  expect((await twin.task('forward')).error).toMatchObject({
    code: 'shards-not-kept',
    detail: `Rows of public.item go to shards by their keys, but on side b ${beside}.`,
  });
  await twin.a.query('insert into item values (2, 1)');
  await twin.b.query('drop index later');
  await twin.act('forward', 'retry');
  await twin.reach('forward', 'Running');
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.b.rows('select count(*)::int as rows from item')).toEqual([{ rows: 2 }]);
});
