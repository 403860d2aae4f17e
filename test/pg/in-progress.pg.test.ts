import { expect, test } from 'vitest';
import { dropSlot } from '../../functions/capture/slot.ts';
import { openSource, type SourceOptions } from '../../functions/capture/source.ts';
import { took } from '../../functions/capture/stream-reader.ts';
import { tag, valueAt, walkTuple } from '../../shared/postgres/pgoutput.ts';
import { RecordDecoder } from '../../shared/stream/decode.ts';
import { positionOf } from '../../shared/stream/position.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';
import { oneShardReader } from '../support/reader.ts';
import { until } from '../support/wait.ts';

/** What the reader makes of a slot: each change with its position, in the order of leaving. */
type Read = { readonly changes: string[]; readonly streamed: number; readonly parts: number };

async function readSlot(
  database: TestDatabase,
  decodingMemory: SourceOptions['decodingMemory'],
): Promise<Read> {
  // The sender of a former reader takes a moment to end.
  const free = `select from pg_replication_slots where slot_name = 'reader_slot' and not active`;
  await until('the slot to be free', async () => (await database.rows(free)).length === 1);
  const [now] = await database.rows<{ lsn: string }>(
    `select (pg_current_wal_insert_lsn() - '0/0')::text as lsn from pg_logical_emit_message(false, 'x', 'y', true)`,
  );
  const end = BigInt(now!.lsn);
  const reader = oneShardReader();
  const shard = reader.shards[0]!;
  const read = { changes: [] as string[], streamed: 0, parts: 0 };
  const stored = new Map<string, Buffer>();
  const take = (parts: readonly Buffer[]) => {
    const decoder = new RecordDecoder();
    for (const part of parts) {
      const { bytes, tags, relations, newAt, oldAt, indexes, transactions } = decoder.decode(part);
      for (const { commitLsn, from, to, xid, time } of transactions)
        for (let i = from; i < to; i++) {
          const refs: number[] = [];
          if (tags[i] !== tag.truncate)
            walkTuple(bytes, Math.abs(newAt[i]! || oldAt[i]!), bytes.length, refs, 0);
          const values = refs.map((ref) => valueAt(bytes, ref));
          const at = positionOf(commitLsn, indexes[i]!);
          read.changes.push(
            [at, xid, time, String.fromCharCode(tags[i]!), relations[i]!.name, ...values].join(' '),
          );
        }
    }
  };
  const sealAll = () => {
    if (shard.transactions > 0) shard.seal((records) => take([Buffer.from(records)]));
  };
  const cut = () =>
    reader.cutStreamed((records) => {
      const key = String(read.parts++);
      stored.set(key, Buffer.from(records));
      return { key, bytes: records.length };
    });
  const { host, port } = database.server;
  const target = { host, port, user: database.user, password: database.password, database: database.name };
  await new Promise<void>((resolve, reject) => {
    const opened = openSource(
      {
        target: { ...target, tls: 'disable' },
        slot: 'reader_slot',
        publications: ['all_of_it'],
        startLsn: 0n,
        origin: undefined,
        decodingMemory,
      },
      {
        message(b, start, stop) {
          const stopsBlock = b[start] === tag.streamStop;
          const became = reader.take(b, start, stop);
          if (stopsBlock || became === took.streamFull) cut();
          if (became !== took.streamed) return;
          sealAll();
          reader.sealStreamed(({ head, parts, records }) => {
            read.streamed += 1;
            take([head, ...parts.map(({ key }) => stored.get(key)!), Buffer.from(records)]);
          });
        },
        keepalive(walEnd) {
          if (walEnd >= end) void opened.then((source) => source.close()).then(resolve, reject);
        },
        drained() {},
      },
    );
    opened.then((source) => source.sendStatus(0n, 0n, true), reject);
    opened.then((source) => source.done).catch(reject);
  });
  sealAll();
  return read;
}

test('a transaction has the same positions and changes, whether it is sent in progress or when it has committed', async () => {
  await using database = await openDatabase('a', {
    schema: `create table item (id int primary key, t text); create table other (id int primary key, t text);
             create table gone (id int primary key); insert into gone values (1);
             create publication all_of_it for all tables`,
  });
  await database.query(`select pg_create_logical_replication_slot('reader_slot', 'pgoutput')`);
  const [one, two] = [await database.connect(), await database.connect()];
  const fill = (from: number, to: number, table = 'item') =>
    `insert into ${table} select g, repeat('x', 100) || g from generate_series(${from}, ${to}) g;`;
  // Two large transactions at once, small ones in between, subtransactions that are kept, rolled back, and nested.
  await one.query(`begin; ${fill(1, 3_000)} savepoint a; ${fill(3_001, 4_000)}`);
  await two.query(`begin; ${fill(100_001, 102_000)}`);
  await database.query(fill(200_001, 200_003));
  await one.query(
    `rollback to a; ${fill(4_001, 6_000)} savepoint b; ${fill(1, 2_000, 'other')} rollback to b;`,
  );
  await two.query(
    `savepoint c; ${fill(102_001, 103_000)} savepoint d; ${fill(103_001, 104_000)} rollback to d;`,
  );
  await one.query(
    `${fill(2_001, 4_000, 'other')} truncate gone; update item set t = 'y' || id where id % 3 = 0 and id < 100000;`,
  );
  await two.query(`release c; ${fill(104_001, 106_000)} commit`);
  await database.query(`update item set t = 'z' where id > 200000`);
  await one.query(`delete from item where id % 5 = 0 and id < 100000; commit`);
  // One that is rolled back as a whole, and one whose table is altered on the way.
  await one.query(`begin; ${fill(300_001, 303_000)} rollback`);
  const withColumn = `insert into item select g, repeat('x', 100) || g, 7 from generate_series(402001, 404000) g;`;
  await one.query(`begin; ${fill(400_001, 402_000)} alter table item add column n int; ${withColumn} commit`);
  await database.query(`insert into other values (900001, 'last')`);

  const whole = await readSlot(database, false);
  const streamed = await readSlot(database, '64kB');
  expect(whole.streamed).toBe(0);
  expect(streamed.streamed).toBeGreaterThanOrEqual(3);
  expect(streamed.parts).toBeGreaterThan(20);
  expect(streamed.changes.length).toBe(whole.changes.length);
  expect(streamed.changes).toEqual(whole.changes);
  await dropSlot(database, 'reader_slot');
}, 60_000);
