import { expect, test } from 'vitest';
import { keyHash, saveChoice } from '../../shared/task/choice.ts';
import { savePrepared } from '../../shared/task/prepared.ts';
import { Repository } from '../../shared/task/repository.ts';
import { type PreparedTable, taskConfig, taskIdOf } from '../../shared/task/schema.ts';
import type { Table } from '../../shared/task/table.ts';
import { openMemoryTable } from '../../test/support/memory-table.ts';
import { readContext } from './context.ts';

const pairId = 'pair0001';
const [own, back] = [taskIdOf(pairId, 'forward'), taskIdOf(pairId, 'reverse')];
const why = { cause: 'test', actor: 'test' };
const prepared = { slot: 's', systemId: '7', timeline: 1, consistentPoint: '0/1', at: 'now' };
const listOf = (n: number): PreparedTable[] =>
  Array.from({ length: n }, (_, k) => ({ schema: 's', name: `${'t'.repeat(50)}${k}`, key: ['id'] }));

/** Both tasks running, with lists that take several items; `requests` counts what is asked of the table. */
async function openRunning(config: object = {}) {
  const memory = openMemoryTable();
  let requests: string[] = [];
  const table: Table = {
    ...memory,
    get(pk, sk) {
      requests.push(`${pk} ${sk}`);
      return memory.get(pk, sk);
    },
    query(pk, options) {
      requests.push(`${pk} ${options?.prefix}*`);
      return memory.query(pk, options);
    },
  };
  const repository = new Repository(table);
  const side = {
    host: 'h',
    port: 5432,
    database: 'd',
    user: 'u',
    secret: 'local:s',
    tls: 'require',
  } as const;
  const sides = { a: side, b: side };
  await repository.createPair({
    ...{ id: pairId, name: 'shop', pool: 'default', arbiter: 'b', shards: 1, createdAt: 'then', sides },
  });
  for (const id of [own, back]) {
    const whole = taskConfig.parse({ objects: { include: [{ schema: 's' }] }, ...config });
    await repository.configure(id, whole, false, why);
    for (const input of ['precheck', 'precheck-passed', 'start', 'initialized'] as const)
      await repository.move(id, input, why);
    await savePrepared(table, id, { generation: 1, ...prepared }, listOf(5000));
  }
  const asked = async <T>(work: () => Promise<T>): Promise<[T, string[]]> => {
    requests = [];
    const value = await work();
    return [value, requests];
  };
  return { repository, table, asked };
}

test('while nothing changes, one request tells so, whatever the number of tables', async () => {
  const { repository, asked } = await openRunning();
  const [first, all] = await asked(() => readContext(repository, own, 0));
  expect(all.length).toBeGreaterThan(8);
  const [second, few] = await asked(() => readContext(repository, own, 2000, first));
  expect(few).toEqual([`tasks ${pairId}_*`]);
  expect(second).toEqual({ ...first, readAt: 2000 });
  // Whatever the versions say, not for ever.
  const [, again] = await asked(() => readContext(repository, own, 61_000, second));
  expect(again.length).toBe(all.length);
});

test.each([own, back])('tables that are added by %s are seen', async (id) => {
  const { repository, table } = await openRunning();
  let context = await readContext(repository, own, 0);
  await repository.move(id, 'tables-added', why);
  context = await readContext(repository, own, 1, context);
  // While the capture makes the list, each look reads it.
  await savePrepared(table, id, { generation: 1, ...prepared }, [
    ...listOf(5000),
    { schema: 's', name: 'added', key: ['id'] },
  ]);
  context = await readContext(repository, own, 2, context);
  await repository.move(id, 'initialized', why);
  const later = await readContext(repository, own, 3, context);
  expect(context.objects.named('"s"."added"') !== undefined).toBe(id === own);
  expect(later.objects.named('"s"."added"') !== undefined).toBe(id === own);
  expect(later.wholeAt).toBe(3);
});

test('a new configuration of either task is seen, and a restart', async () => {
  const { repository, asked } = await openRunning();
  let context = await readContext(repository, own, 0);
  const changes = [
    () => repository.setLimits(back, { full: { rowsPerSecond: 7 } }, why),
    () => repository.move(own, 'pause', why),
    () => repository.move(own, 'paused', why),
    () => repository.move(own, 'restart', why),
  ];
  for (const [n, change] of changes.entries()) {
    await change();
    const [now, requests] = await asked(() => readContext(repository, own, n + 1, context));
    expect(requests.length).toBeGreaterThan(8);
    expect(now.wholeAt).toBe(n + 1);
    context = now;
  }
  expect(context.task.generation).toBe(2);
});

test('a choice for a conflict is seen, at the price of one more request', async () => {
  const { repository, table, asked } = await openRunning({ conflictPolicy: 'task-failed' });
  const first = await readContext(repository, own, 0);
  const relation = { schema: 's', name: 'x' };
  const ofTable = { relation, columns: ['id'], key: [0] } as never;
  const choiceNow = ({ settings }: typeof first) => settings.choice('1', '1', ofTable, [['7' as never]]);
  expect(choiceNow(first)).toBeUndefined();
  await saveChoice(table, own, {
    ...{ v: 1, generation: 1, conflict: 'c', first: '1', last: '1', take: 'source', by: 'me', at: 'now' },
    key: keyHash(relation, { id: '7' }),
  });
  const [second, requests] = await asked(() => readContext(repository, own, 1, first));
  expect(requests).toEqual([`tasks ${pairId}_*`, `${own} choice#*`]);
  expect(choiceNow(second)).toBe('source');
});
