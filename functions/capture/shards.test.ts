import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nothingSeen } from '../../shared/conflict/seen.ts';
import { tag, valueAt } from '../../shared/postgres/pgoutput.ts';
import { RecordDecoder } from '../../shared/stream/decode.ts';
import { endOfTransaction, type Position, positionOf, zeroPosition } from '../../shared/stream/position.ts';
import { shardOfKey } from '../../shared/stream/shard.ts';
import { placingOf } from '../../shared/task/placing.ts';
import { pgoutput } from '../../test/support/pgoutput-bytes.ts';
import { StreamReader, took } from './stream-reader.ts';

const SHARDS = 3;
const NAMES = ['by_key', 'by_table'] as const;
const prepared = [
  { schema: 'public', name: 'by_key', key: ['id'], shard: 'key' as const },
  { schema: 'public', name: 'by_table', key: ['id'], shard: 2 },
];
const oidOf = (name: string) => 100 + NAMES.indexOf(name as never);
const columns = (width: number) =>
  Array.from({ length: width }, (_, n) => ({ name: n === 0 ? 'id' : `c${n}`, inKey: n === 0 }));
const relation = (name: string, width: number) =>
  pgoutput.relation({ oid: oidOf(name), schema: 'public', name, identity: 'd', columns: columns(width) });

type Step =
  | {
      readonly do: 'insert';
      readonly table: (typeof NAMES)[number];
      readonly id: number;
      readonly width: number;
    }
  | { readonly do: 'move'; readonly id: number; readonly to: number }
  | { readonly do: 'truncate'; readonly tables: readonly (typeof NAMES)[number][] };

const table = fc.constantFrom(...NAMES);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('insert' as const),
      table,
      id: fc.nat(40),
      width: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const), id: fc.nat(40), to: fc.nat(40) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('truncate' as const),
      tables: fc.subarray([...NAMES], { minLength: 1 }),
    }),
  },
);

/** The messages of a script, and what has to come out: by position, what and where. */
function streamOf(script: readonly (readonly Step[])[]) {
  const messages: Buffer[] = [];
  const wanted: { at: Position; text: string; shard: number | 'all' }[] = [];
  const widths = new Map<string, number>();
  const announce = (name: string, width: number) => {
    if (widths.get(name) !== width) messages.push(relation(name, width));
    widths.set(name, width);
  };
  for (const [n, steps] of script.entries()) {
    const commit = 100n + 16n * BigInt(n);
    messages.push(pgoutput.begin(commit, BigInt(n), n + 10));
    const own: typeof wanted = [];
    for (const [index, each] of steps.entries()) {
      const at = positionOf(commit, index);
      if (each.do === 'insert') {
        announce(each.table, each.width);
        const values = columns(each.width).map((_, c) => (c === 0 ? String(each.id) : `${n}.${index}.${c}`));
        messages.push(pgoutput.insert(oidOf(each.table), values));
        const shard = each.table === 'by_table' ? 2 : shardOfKey([String(each.id)], SHARDS);
        own.push({ at, text: `I ${each.table} ${values}`, shard });
      } else if (each.do === 'move') {
        announce('by_key', 1);
        messages.push(
          pgoutput.update(oidOf('by_key'), [String(each.to)], { kind: 'K', row: [String(each.id)] }),
        );
        const [from, to] = [each.id, each.to].map((id) => shardOfKey([String(id)], SHARDS));
        own.push({ at, text: `U by_key ${each.to}`, shard: from === to ? to! : 'all' });
      } else {
        for (const name of each.tables) announce(name, widths.get(name) ?? 1);
        messages.push(pgoutput.truncate(each.tables.map(oidOf)));
        const shard = each.tables.every((name) => name === 'by_table') ? 2 : ('all' as const);
        for (const name of each.tables) own.push({ at, text: `T ${name} `, shard });
      }
    }
    messages.push(pgoutput.commit(commit, commit + 8n, BigInt(n)));
    const whole = own.some(({ shard }) => shard === 'all');
    wanted.push(...own.map((each) => (whole ? { ...each, shard: 'all' as const } : each)));
  }
  return { messages, wanted };
}

/** Reads and seals as the loop does. */
function read(messages: readonly Buffer[], skipUpTo: readonly Position[], idle: (n: number) => boolean) {
  const seen = { add() {}, toText: () => '', time: nothingSeen.time };
  const reader = new StreamReader({
    shards: skipUpTo.map((each) => ({ seen, skipUpTo: each })),
    seenInAll: seen,
    clock: { timeOf: (commit) => commit },
    placing: placingOf(prepared, SHARDS),
  });
  const out: { at: Position; text: string; shard: number | 'all' }[] = [];
  const take = (shard: number | 'all') => (records: Buffer) => {
    const { bytes, tags, relations, newAt, indexes, transactions } = new RecordDecoder().decode(
      Buffer.from(records),
    );
    for (const { commitLsn, from, to } of transactions)
      for (let i = from; i < to; i++) {
        const values: string[] = [];
        let ref = newAt[i]! + 2;
        for (const _ of tags[i] === tag.truncate ? [] : relations[i]!.columns) {
          const text = valueAt(bytes, ref)!;
          values.push(text);
          ref += 5 + text.length;
        }
        const text = `${String.fromCharCode(tags[i]!)} ${relations[i]!.name} ${values}`;
        out.push({ at: positionOf(commitLsn, indexes[i]!), text, shard });
      }
  };
  const sealAll = () => {
    for (const [n, shard] of reader.shards.entries()) if (shard.transactions > 0) shard.seal(take(n));
  };
  for (const [n, message] of messages.entries()) {
    const became = reader.take(Buffer.from(message), 0, message.length);
    if (became === took.whole) {
      sealAll();
      reader.whole.seal(take('all'));
    }
    if (!idle(n)) continue;
    for (const [at, shard] of reader.shards.entries())
      if (shard.transactions > 0)
        if (reader.inTransaction) shard.sealComplete(take(at));
        else shard.seal(take(at));
  }
  sealAll();
  return out;
}

const sorted = (list: readonly { at: Position; text: string; shard: number | 'all' }[]) =>
  list.map(({ at, text, shard }) => `${at} ${text} ${shard}`).sort();

const scripts = fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 10 });

test('each change leaves once, in its shard or with its whole transaction, in order and under its position', () => {
  fc.assert(
    fc.property(scripts, fc.array(fc.boolean(), { minLength: 1 }), (script, idle) => {
      const { messages, wanted } = streamOf(script);
      const out = read(messages, Array(SHARDS).fill(zeroPosition), (n) => idle[n % idle.length]!);
      expect(sorted(out)).toEqual(sorted(wanted));
      for (const shard of [0, 1, 2, 'all'] as const) {
        const positions = out.filter((each) => each.shard === shard).map(({ at }) => at);
        expect(positions).toEqual(positions.toSorted());
      }
    }),
    { numRuns: 1_000 },
  );
});

test('what a shard has already is not sent again, unless its transaction is missing in another one as a whole', () => {
  fc.assert(
    fc.property(scripts, fc.array(fc.nat(10), { minLength: SHARDS, maxLength: SHARDS }), (script, has) => {
      const { messages, wanted } = streamOf(script);
      const skip = has.map((n) => (n === 0 ? zeroPosition : endOfTransaction(100n + 16n * BigInt(n - 1))));
      const isMissing = ({ at, shard }: (typeof wanted)[number]): boolean =>
        shard === 'all' ? skip.some((each) => at > each) : at > skip[shard]!;
      const whole = new Set(wanted.filter(({ shard }) => shard === 'all').map(({ at }) => at.slice(0, 17)));
      const out = read(messages, skip, () => false);
      const missing = sorted(wanted.filter(isMissing));
      // Of a transaction that goes as a whole, rows may be there or not that a shard has: apply leaves them out.
      const required = sorted(
        wanted.filter(
          (each) => isMissing(each) && !(whole.has(each.at.slice(0, 17)) && has.some((n) => n > 0)),
        ),
      );
      const got = sorted(out);
      expect(required.every((each) => got.includes(each))).toBe(true);
      expect(got.every((each) => missing.includes(each))).toBe(true);
      expect(new Set(got).size).toBe(got.length);
    }),
    { numRuns: 500 },
  );
});
