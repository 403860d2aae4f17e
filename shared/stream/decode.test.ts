import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  damaged,
  pgoutput,
  records,
  type TestOld,
  type TestRelation,
  type TestRow,
} from '../../test/support/pgoutput-bytes.ts';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { tag, u16, valueAt } from '../postgres/pgoutput.ts';
import { type DecodedChanges, decodeTogether, RecordDecoder } from './decode.ts';
import { endOfTransaction } from './position.ts';

type TestChange =
  | { readonly op: 'insert'; readonly table: TestRelation; readonly row: TestRow }
  | {
      readonly op: 'update';
      readonly table: TestRelation;
      readonly row: TestRow;
      readonly old: TestOld | undefined;
    }
  | { readonly op: 'delete'; readonly table: TestRelation; readonly old: TestOld }
  | { readonly op: 'truncate'; readonly tables: readonly TestRelation[] };
type TestTransaction = {
  readonly xid: number;
  readonly time: bigint;
  readonly seen: readonly string[];
  /** How many changes were left out in front of each. */
  readonly changes: readonly { readonly skipped: number; readonly change: TestChange }[];
};

const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.constantFrom('', 'NULL', '"\\'));
const columnName = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
  .filter((n) => !n.includes('\0'));
const relationOf = (oid: number): fc.Arbitrary<TestRelation> =>
  fc.record({
    oid: fc.constant(oid),
    schema: columnName,
    name: columnName,
    identity: fc.constantFrom('d', 'n', 'f', 'i'),
    columns: fc.array(fc.record({ name: columnName, inKey: fc.boolean() }), { maxLength: 5 }),
  });
const rowOf = (table: TestRelation): fc.Arbitrary<TestRow> =>
  fc.tuple(...table.columns.map(() => fc.oneof(text, fc.constant(null), fc.constant(undefined))));
const oldOf = (table: TestRelation): fc.Arbitrary<TestOld> =>
  fc.record({ kind: fc.constantFrom('K' as const, 'O' as const), row: rowOf(table) });
const changeOf = (tables: readonly TestRelation[]): fc.Arbitrary<TestChange> =>
  fc.constantFrom(...tables).chain(
    (table): fc.Arbitrary<TestChange> =>
      fc.oneof(
        fc.record({ op: fc.constant('insert' as const), table: fc.constant(table), row: rowOf(table) }),
        fc.record({
          op: fc.constant('update' as const),
          table: fc.constant(table),
          row: rowOf(table),
          old: fc.option(oldOf(table), { nil: undefined }),
        }),
        fc.record({ op: fc.constant('delete' as const), table: fc.constant(table), old: oldOf(table) }),
        fc.record({
          op: fc.constant('truncate' as const),
          tables: fc.uniqueArray(fc.constantFrom(...tables), { minLength: 1, selector: (t) => t.oid }),
        }),
      ),
  );
const transactionOf = (tables: readonly TestRelation[]): fc.Arbitrary<TestTransaction> =>
  fc.record({
    xid: fc.nat(),
    time: fc.bigInt({ min: 0n, max: 1n << 55n }),
    seen: fc.array(fc.constantFrom('1:0:0:0:', '1:a:b:c:1,2-3')),
    changes: fc.array(fc.record({ skipped: fc.nat(2), change: changeOf(tables) }), {
      minLength: 1,
      maxLength: 6,
    }),
  });
/** Tables may be redefined between transactions: the second list has the same oids. */
const stream = fc
  .tuple(relationOf(1), relationOf(70_000), relationOf(1))
  .chain(([one, two, again]) =>
    fc.tuple(
      fc.array(transactionOf([one, two]), { minLength: 1, maxLength: 4 }),
      fc.array(transactionOf([again, two]), { maxLength: 3 }),
    ),
  );

const ofChange = (c: TestChange): { relations: readonly TestRelation[]; bytes: Buffer } => {
  switch (c.op) {
    case 'insert':
      return { relations: [c.table], bytes: pgoutput.insert(c.table.oid, c.row) };
    case 'update':
      return { relations: [c.table], bytes: pgoutput.update(c.table.oid, c.row, c.old) };
    case 'delete':
      return { relations: [c.table], bytes: pgoutput.delete(c.table.oid, c.old) };
    case 'truncate':
      return { relations: c.tables, bytes: pgoutput.truncate(c.tables.map((t) => t.oid)) };
  }
};

/** Records as the capture puts them together. */
function encode(transactions: readonly TestTransaction[], startLsn: bigint): Buffer[] {
  const list: Buffer[] = [];
  const defined = new Map<number, TestRelation>();
  for (const [n, t] of transactions.entries()) {
    const commit = startLsn + BigInt(n) * 64n;
    for (const seen of t.seen) list.push(Buffer.from(`s${seen}`));
    list.push(pgoutput.begin(commit, t.time, t.xid));
    for (const { skipped, change } of t.changes) {
      const { relations, bytes } = ofChange(change);
      for (const r of relations)
        if (defined.get(r.oid) !== r) {
          list.push(pgoutput.relation(r));
          defined.set(r.oid, r);
        }
      if (skipped > 0) list.push(Buffer.from([0x6b, 0, 0, 0, skipped]));
      list.push(bytes);
    }
    list.push(pgoutput.commit(commit, commit + 56n, t.time));
  }
  return list;
}

type ReadChange = {
  readonly op: string | undefined;
  readonly table: TestRelation;
  readonly row: TestRow | null;
  readonly old: TestOld | null;
  readonly at: number | undefined;
};

const expected = (transactions: readonly TestTransaction[], startLsn: bigint) =>
  transactions.map((t, n) => {
    const commit = startLsn + BigInt(n) * 64n;
    let index = -1;
    const changes = t.changes.flatMap(({ skipped, change }): ReadChange[] => {
      index += skipped + 1;
      const at = index;
      if (change.op === 'truncate')
        return change.tables.map((table) => ({ op: 'truncate', table, row: null, old: null, at }));
      const row = change.op === 'delete' ? null : change.row;
      const old = change.op === 'insert' || !change.old ? null : change.old;
      return [{ op: change.op, table: change.table, row, old, at }];
    });
    return {
      position: endOfTransaction(commit),
      endLsn: commit + 56n,
      time: t.time + 946_684_800_000_000n,
      xid: t.xid,
      seen: t.seen,
      changes,
    };
  });

const ops = new Map<number, string>([
  [tag.insert, 'insert'],
  [tag.update, 'update'],
  [tag.delete, 'delete'],
  [tag.truncate, 'truncate'],
]);

function readTuple(b: Buffer, at: number): TestRow {
  const row: (string | null | undefined)[] = [];
  let p = at + 2;
  for (let n = u16(b, at); n > 0; n--) {
    row.push(valueAt(b, p));
    p += b[p] === 0x74 ? 5 + b.readUInt32BE(p + 1) : 1;
  }
  return row;
}

/** What was decoded, with the values that the offsets point at. */
const read = (d: DecodedChanges) =>
  d.transactions.map(({ position, endLsn, time, xid, seen, from, to }) => ({
    position,
    endLsn,
    time,
    xid,
    seen,
    changes: Array.from({ length: to - from }, (_, n) => {
      const i = from + n;
      const r = d.relations[i]!;
      const old = d.oldAt[i]!;
      return {
        op: ops.get(d.tags[i]!),
        table: {
          oid: r.oid,
          schema: r.schema,
          name: r.name,
          identity: r.identity,
          columns: r.columns.map((c) => ({ name: c.name, inKey: c.inKey })),
        },
        row: d.newAt[i] === 0 ? null : readTuple(d.bytes, d.newAt[i]!),
        old: old === 0 ? null : { kind: old < 0 ? 'K' : 'O', row: readTuple(d.bytes, Math.abs(old)) },
        at: d.indexes[i],
      };
    }),
  }));

test('what was encoded is what is decoded, in one message, joined from several, and in parts', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(40), { maxLength: 4 }), ([before, after], cuts) => {
      const all = [...before, ...after];
      const list = encode(all, 4_096n);
      const want = expected(all, 4_096n);
      expect(read(new RecordDecoder().decode(records(list)))).toEqual(want);

      const messages = [encode(before, 4_096n), encode(after, 4_096n + BigInt(before.length) * 64n)];
      const together = decodeTogether(messages.map(records));
      expect(read(together.decoded)).toEqual(want);
      expect(together.transactions.map((each) => each.length)).toEqual([before.length, after.length]);

      // Parts end anywhere between records; a transaction goes on in the next.
      const decoder = new RecordDecoder();
      const ends = [...new Set([...cuts, list.length])].filter((c) => c <= list.length).sort((a, b) => a - b);
      const parts = ends.map((end, n) => decoder.decode(records(list.slice(ends[n - 1] ?? 0, end))));
      const found = parts.flatMap(read);
      const merged = new Map<string, (typeof found)[number]>();
      for (const t of found) {
        const changes = [...(merged.get(t.position)?.changes ?? []), ...t.changes];
        merged.set(t.position, { ...t, changes });
      }
      expect([...merged.values()]).toEqual(want);
      expect(decoder.isOpen).toBe(false);
    }),
    { numRuns: 400 },
  );
});

test('damaged records are refused or are other records: no other error, no offset outside of the bytes', () => {
  fc.assert(
    fc.property(
      stream
        .map(([before, after]) => records(encode([...before, ...after], 4_096n)))
        .chain((whole) => damaged(whole)),
      (bytes) => {
        let decoded: DecodedChanges;
        try {
          decoded = new RecordDecoder().decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(PgtwinError);
          expect((error as PgtwinError).code).toBe('message-malformed');
          return;
        }
        // All tuples can be read by their offsets.
        for (const transaction of read(decoded))
          for (const { table, row, old } of transaction.changes)
            for (const tuple of [row, old?.row]) if (tuple) expect(tuple.length).toBe(table.columns.length);
      },
    ),
    { numRuns: 3_000 },
  );
});
