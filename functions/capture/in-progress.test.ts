import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tag, valueAt } from '../../shared/postgres/pgoutput.ts';
import { RecordDecoder } from '../../shared/stream/decode.ts';
import { type Position, positionOf, zeroPosition } from '../../shared/stream/position.ts';
import { pgoutput as plain, type TestRelation } from '../../test/support/pgoutput-bytes.ts';
import { oneShardReader } from '../../test/support/reader.ts';
import { took } from './stream-reader.ts';

type Pgoutput = { [K in keyof typeof plain]: (...args: Parameters<(typeof plain)[K]>) => Buffer };
const pgoutput: Pgoutput = plain;
const u32Bytes = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const relationOf = (oid: number, schema = 's', columns = ['id', 'v']): TestRelation => ({
  ...{ oid, schema, name: oid === 1 ? 'apply_progress' : `t${oid}`, identity: 'd' },
  columns: columns.map((name, n) => ({ name, inKey: n === 0 })),
});
const progress = { ...relationOf(1, 'pgtwin', ['task', 'seen', 'changes', 'shard']), name: 'apply_progress' };

/** The message inside of a streamed block: the xid behind the tag. */
const within = (message: Buffer, xid: number): Buffer =>
  Buffer.concat([message.subarray(0, 1), Buffer.from(u32Bytes(xid)), message.subarray(1)]);
const start = (xid: number, first: boolean) =>
  Buffer.from([tag.streamStart, ...u32Bytes(xid), first ? 1 : 0]);
const stop = Buffer.from([tag.streamStop]);
const abort = (xid: number, sub: number) =>
  Buffer.from([tag.streamAbort, ...u32Bytes(xid), ...u32Bytes(sub)]);
const streamCommit = (xid: number, commit: Buffer) =>
  Buffer.concat([Buffer.from([tag.streamCommit, ...u32Bytes(xid)]), commit.subarray(1)]);

type Row = { readonly table: number; readonly sub: number };
type Script = {
  readonly transactions: readonly {
    readonly own: boolean;
    readonly blocks: readonly (readonly Row[])[];
    /** Numbers of subtransactions that are rolled back. */
    readonly aborted: readonly number[];
    readonly fate: 'commit' | 'abort' | 'ordinary';
  }[];
  /** Which transaction goes on next. */
  readonly turns: readonly number[];
};

const script: fc.Arbitrary<Script> = fc.record({
  transactions: fc.array(
    fc.record({
      own: fc.boolean(),
      blocks: fc.array(
        fc.array(fc.record({ table: fc.constantFrom(11, 12), sub: fc.constantFrom(0, 0, 1, 2) }), {
          maxLength: 5,
        }),
        { minLength: 1, maxLength: 4 },
      ),
      aborted: fc.subarray([1, 2]),
      fate: fc.constantFrom('commit' as const, 'commit' as const, 'abort' as const, 'ordinary' as const),
    }),
    { minLength: 1, maxLength: 5 },
  ),
  turns: fc.array(fc.nat(4), { maxLength: 30 }),
});

/** The same transactions as a stream with blocks, and as one where each comes when it has committed. */
function streamsOf({ transactions, turns }: Script): { streamed: Buffer[]; whole: Buffer[] } {
  const definitions: Buffer[] = [progress, relationOf(11), relationOf(12)].map(pgoutput.relation);
  const streamed: Buffer[] = [...definitions];
  const whole: Buffer[] = [...definitions];
  let value = 0;
  let lsn = 100n;
  const runs = transactions.map(({ own, blocks, aborted, fate }, n) => {
    const xid = 1000 * (n + 1);
    const kept: Buffer[] = [];
    const told = new Set<number>();
    const mark = own ? [pgoutput.insert(1, ['t', `seen${n}`, String(n), '0'])] : [];
    kept.push(...mark);
    let at = 0;
    const commit = () => {
      lsn += 10n;
      const end = pgoutput.commit(lsn, lsn + 8n, lsn);
      whole.push(pgoutput.begin(lsn, lsn, xid), ...kept, end);
      return end;
    };
    return (): boolean => {
      const rows = blocks[at];
      if (!rows) {
        if (fate === 'commit') {
          for (const sub of aborted) streamed.push(abort(xid, xid + sub));
          streamed.push(streamCommit(xid, commit()));
        } else if (fate === 'abort') streamed.push(abort(xid, xid));
        else {
          const end = commit();
          streamed.push(pgoutput.begin(lsn, lsn, xid), ...kept, end);
        }
        return false;
      }
      const block: Buffer[] = at === 0 ? mark.map((m) => within(m, xid)) : [];
      if (at === 0 && own) block.unshift(within(pgoutput.relation(progress), xid));
      for (const { table, sub } of rows) {
        if (!told.has(table)) block.push(within(pgoutput.relation(relationOf(table)), xid + sub));
        told.add(table);
        const row = pgoutput.insert(table, [String(value++), 'v']);
        block.push(within(row, xid + sub));
        if (!aborted.includes(sub)) kept.push(row);
      }
      if (fate !== 'ordinary') streamed.push(start(xid, at === 0), ...block, stop);
      at += 1;
      return true;
    };
  });
  const open = [...runs];
  for (const turn of turns) {
    const n = turn % Math.max(1, open.length);
    if (open[n] && !open[n]()) open.splice(n, 1);
  }
  for (const run of open) while (run());
  return { streamed, whole };
}

/** What leaves: rows with their positions, and what was seen at each message's start. */
function read(messages: readonly Buffer[], skipUpTo: Position, cutAt: number): string[] {
  let text = '';
  const seen = {
    time: 0n,
    toText: () => text,
    add(more: string) {
      text += more;
    },
  };
  const reader = oneShardReader(seen, skipUpTo);
  const shard = reader.shards[0]!;
  const out: string[] = [];
  const stored = new Map<string, Buffer>();
  const take = (parts: readonly Buffer[], at: string) => {
    const decoder = new RecordDecoder();
    for (const part of parts) {
      const { bytes, newAt, indexes, relations, transactions } = decoder.decode(part);
      for (const { commitLsn, from, to, xid, time } of transactions)
        for (let i = from; i < to; i++) {
          const id = valueAt(bytes, newAt[i]! + 2);
          out.push(`${positionOf(commitLsn, indexes[i]!)} ${xid} ${time} ${relations[i]!.name} ${id} ${at}`);
        }
    }
    expect(decoder.isOpen).toBe(false);
  };
  const seal = () => {
    if (shard.transactions > 0) shard.seal((records, sealed) => take([Buffer.from(records)], sealed.seen));
  };
  for (const [n, message] of messages.entries()) {
    const copy = Buffer.from(message);
    const became = reader.take(copy, 0, copy.length);
    if (became === took.kept) seal();
    if (message[0] === tag.streamStop && n % cutAt === 0)
      reader.cutStreamed((records) => {
        const key = String(stored.size);
        stored.set(key, Buffer.from(records));
        return { key, bytes: records.length };
      });
    if (became !== took.streamed) continue;
    seal();
    reader.sealStreamed(({ head, parts, records, seen: at }) =>
      take([head, ...parts.map(({ key }) => stored.get(key)!), Buffer.from(records)], at),
    );
  }
  return out;
}

test('streamed or not, the same changes leave under the same positions, with the same things seen', () => {
  fc.assert(
    fc.property(script, fc.integer({ min: 1, max: 5 }), fc.nat(60), (transactions, cutAt, skip) => {
      const { streamed, whole } = streamsOf(transactions);
      const skipUpTo = skip < 30 ? zeroPosition : positionOf(100n + BigInt(skip - 30), 5);
      expect(read(streamed, skipUpTo, cutAt)).toEqual(read(whole, skipUpTo, cutAt));
    }),
    { numRuns: 500 },
  );
});

test('a block in a block, a commit of an unknown transaction: refused as malformed', () => {
  for (const messages of [
    [start(1, true), start(2, true)],
    [start(1, false)],
    [stop],
    [streamCommit(9, pgoutput.commit(1n, 2n, 3n))],
    [start(1, true), within(pgoutput.insert(5, ['1']), 1)],
  ]) {
    const reader = oneShardReader();
    const all = () => {
      for (const message of messages) reader.take(Buffer.from(message), 0, message.length);
    };
    expect(all).toThrow(expect.objectContaining({ code: 'wal-message-malformed' }));
  }
});
