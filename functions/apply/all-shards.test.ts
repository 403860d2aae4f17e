import fc from 'fast-check';
import { expect, test } from 'vitest';
import { valueAt } from '../../shared/postgres/pgoutput.ts';
import { RecordDecoder } from '../../shared/stream/decode.ts';
import { endOfTransaction, zeroPosition } from '../../shared/stream/position.ts';
import { shardOfKey } from '../../shared/stream/shard.ts';
import { placingOf } from '../../shared/task/placing.ts';
import { pgoutput as plain, records } from '../../test/support/pgoutput-bytes.ts';
import { changesOfShards, shardsWithout, watermarkFor } from './all-shards.ts';

const pgoutput: typeof plain = plain;
const SHARDS = 4;
const relation = (oid: number, name: string) => ({
  ...{ oid, schema: 'public', name, identity: 'd' },
  columns: [
    { name: 'n', inKey: false },
    { name: 'id', inKey: true },
  ],
});
const placing = placingOf(
  [
    { schema: 'public', name: 'by_key', key: ['id'], shard: 'key' },
    { schema: 'public', name: 'by_table', key: ['id'], shard: 3 },
  ],
  SHARDS,
);

const change = fc.record({
  oid: fc.constantFrom(1, 2),
  op: fc.constantFrom('insert', 'update', 'delete', 'truncate'),
  id: fc.nat(30).map(String),
});

test('of a transaction only the changes of some shards are left, at their places', () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 12 }),
      fc.subarray(Array.from({ length: SHARDS }, (_, n) => n)),
      (changes, missing) => {
        const messages = changes.map(({ oid, op, id }) => {
          if (op === 'insert') return pgoutput.insert(oid, ['1', id]);
          // Large and unchanged: the key is in the old row only.
          if (op === 'update') return pgoutput.update(oid, ['2', undefined], { kind: 'K', row: [null, id] });
          if (op === 'delete') return pgoutput.delete(oid, { kind: 'K', row: [null, id] });
          return pgoutput.truncate([oid]);
        });
        const bytes = records([
          pgoutput.relation(relation(1, 'by_key')),
          pgoutput.relation(relation(2, 'by_table')),
          pgoutput.begin(5n, 1n, 7),
          ...messages,
          pgoutput.commit(5n, 6n, 1n),
        ]);
        const all = new RecordDecoder().decode(bytes);
        const left = changesOfShards(all, placing, new Set(missing));
        const wanted = changes.flatMap(({ oid, op, id }, index) => {
          const shard = oid === 2 ? 3 : shardOfKey([id], SHARDS);
          return op === 'truncate' || missing.includes(shard) ? [index] : [];
        });
        expect(left.indexes).toEqual(wanted);
        expect(left.tags).toEqual(wanted.map((i) => all.tags[i]));
        expect(left.transactions).toMatchObject([{ from: 0, to: wanted.length }]);
        for (const [n, index] of wanted.entries())
          if (left.newAt[n])
            expect(valueAt(left.bytes, left.newAt[n]! + 2)).toBe(changes[index]!.op === 'insert' ? '1' : '2');
      },
    ),
    { numRuns: 300 },
  );
});

test('a transaction of several shards is applied as long as it is missing in one', () => {
  const [before, at, behind] = [1n, 2n, 3n].map(endOfTransaction);
  const shards = (...positions: (typeof at)[]) =>
    positions.map((position, shard) => ({ shard, position: position! }));
  const header = { previous: before!, last: at! };
  const admittedBy = (first: typeof at, ...others: (typeof at)[]) => {
    const missing = shardsWithout(at!, shards(first, ...others));
    return { missing: [...missing], position: watermarkFor(header, { position: first! }, missing).position };
  };
  expect(admittedBy(before, before)).toEqual({ missing: [0, 1], position: before });
  expect(admittedBy(at, behind)).toEqual({ missing: [], position: at });
  // The first has it, or more; another one has not.
  expect(admittedBy(behind, before)).toEqual({ missing: [1], position: before });
  // What came before it is missing: a gap, whatever the others have.
  expect(admittedBy(zeroPosition, at)).toEqual({ missing: [0], position: zeroPosition });
});
