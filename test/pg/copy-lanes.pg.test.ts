import { expect, test } from 'vitest';
import { beginAttempt, claimChunk } from '../../shared/copy/ledger.ts';
import { chunkNumber } from '../../shared/copy/work.ts';
import { installHelperSchema } from '../../shared/postgres/helper-schema/install.ts';
import { openDatabase } from '../support/database.ts';
import { until } from '../support/wait.ts';

test('a chunk takes any free lane if its own is busy, and waits for its own if none is free', async () => {
  await using database = await openDatabase('b');
  await installHelperSchema(database.client, 'lanes_f', 'destination');
  const key = { task: 'lanes_f', generation: 1 };
  const attempt = await beginAttempt(database.client, key);
  /** Each by a worker of its own. */
  const claim = async (index: number, lane: number, lanes: number) => {
    const worker = await database.connect();
    await worker.query('begin');
    const chunk = { ...key, relation: 'public.item', chunk: chunkNumber(attempt, index), attempt };
    return { worker, taken: claimChunk(worker, { ...chunk, lane, lanes }) };
  };
  const first = await claim(0, 1, 2);
  expect(await first.taken).toBe(1);
  expect(await (await claim(1, 1, 2)).taken).toBe(0);
  const waiting = await claim(2, 1, 2);
  await until('a worker to wait for its lane', async () => {
    const waits = await database.rows(
      `select from pg_locks l join pg_stat_activity s using (pid)
        where s.datname = current_database() and l.locktype = 'advisory' and not l.granted`,
    );
    return waits.length === 1;
  });
  await first.worker.query('commit');
  expect(await waiting.taken).toBe(1);
  // What is done already is nobody's, as soon as a lane is free.
  await waiting.worker.query('commit');
  expect(await (await claim(0, 1, 2)).taken).toBeUndefined();
});
