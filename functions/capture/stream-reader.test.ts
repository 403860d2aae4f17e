import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tag, u16, valueAt } from '../../shared/postgres/pgoutput.ts';
import { RecordDecoder } from '../../shared/stream/decode.ts';
import { endOfTransaction, type Position } from '../../shared/stream/position.ts';
import { oneShardReader } from '../../test/support/reader.ts';
import type { SeenState, TakeSealed } from './shard-records.ts';
import { took } from './stream-reader.ts';

/* pgoutput messages as the server writes them (PostgreSQL manual, 53.9). */
const u16Bytes = (value: number) => [value >>> 8, value & 255];
const u32Bytes = (value: number) => [...u16Bytes(value >>> 16), ...u16Bytes(value & 65_535)];
const u64Bytes = (value: bigint) => [
  ...u32Bytes(Number(value >> 32n)),
  ...u32Bytes(Number(value & 0xffffffffn)),
];
const textBytes = (text: string) => [...Buffer.from(text), 0];
const message = (kind: string, ...parts: readonly (readonly number[])[]) =>
  Buffer.from([kind.charCodeAt(0), ...parts.flat()]);

const begin = (commit: bigint) => message('B', u64Bytes(commit), u64Bytes(commit), u32Bytes(Number(commit)));
const commitOf = (commit: bigint) =>
  message('C', [0], u64Bytes(commit), u64Bytes(commit + 8n), u64Bytes(commit));
const relation = (oid: number, schema: string, name: string, columns: readonly string[]) =>
  message(
    'R',
    u32Bytes(oid),
    textBytes(schema),
    textBytes(name),
    [0x64, ...u16Bytes(columns.length)],
    columns.flatMap((column, i) => [i === 0 ? 1 : 0, ...textBytes(column), ...u32Bytes(25), ...u32Bytes(0)]),
  );
const insert = (oid: number, values: readonly string[]) =>
  message(
    'I',
    u32Bytes(oid),
    [0x4e, ...u16Bytes(values.length)],
    values.flatMap((value) => [0x74, ...u32Bytes(value.length), ...Buffer.from(value)]),
  );

/** Remembers what was added, in order: enough to see which transaction got to know what. */
class SeenTexts implements SeenState {
  readonly time = 0n;
  #text = '';
  add(text: string): void {
    this.#text += text;
  }
  toText(): string {
    return this.#text;
  }
}

type Row = { readonly table: number; readonly width: number; readonly announced: boolean };
type Transaction = { readonly kind: 'user' | 'own' | 'empty'; readonly rows: readonly Row[] };

const PROGRESS = 1;
const transactions: fc.Arbitrary<Transaction[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('user', 'user', 'own', 'empty'),
    rows: fc.array(
      fc.record({
        table: fc.constantFrom(11, 12),
        width: fc.integer({ min: 1, max: 3 }),
        announced: fc.boolean(),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  }),
  { minLength: 1, maxLength: 10 },
);

/** The transactions as a stream; a relation is announced when its columns change, and sometimes for no reason. */
function streamOf(script: readonly Transaction[]): { messages: Buffer[]; sent: string[] } {
  const widths = new Map<number, number>();
  const messages = [relation(PROGRESS, 'pgtwin', 'apply_progress', ['task', 'seen', 'changes', 'shard'])];
  const sent: string[] = [];
  let seen = '';
  let value = 0;
  for (const [n, { kind, rows }] of script.entries()) {
    const commit = 100n + BigInt(n) * 16n;
    messages.push(begin(commit));
    if (kind === 'own') {
      const text = `${n};`;
      messages.push(insert(PROGRESS, ['t', text, String(n), '0']));
      seen += text;
    }
    const written: string[] = [];
    for (const { table, width, announced } of kind === 'empty' ? [] : rows) {
      const columns = Array.from({ length: width }, (_, i) => `c${i}`);
      if (announced || widths.get(table) !== width)
        messages.push(relation(table, 'public', `t${table}`, columns));
      widths.set(table, width);
      const values = columns.map(() => String(value++));
      messages.push(insert(table, values));
      written.push(`${table}(${values})`);
    }
    messages.push(commitOf(commit));
    if (kind === 'user') sent.push(`${endOfTransaction(commit)} after ${seen}: ${written}`);
  }
  return { messages, sent };
}

/** What apply reads out of a message: each transaction with what its author had seen. */
function readBack(records: Buffer, seenAtStart: string): { texts: string[]; last: Position | undefined } {
  const decoded = new RecordDecoder().decode(records);
  let seen = seenAtStart;
  const texts = decoded.transactions.map(({ position, seen: added, from, to }) => {
    seen += added.join('');
    const rows = Array.from({ length: to - from }, (_, i) => {
      const { oid, columns } = decoded.relations[from + i]!;
      const at = decoded.newAt[from + i]!;
      expect(u16(decoded.bytes, at)).toBe(columns.length);
      let ref = at + 2;
      const values = columns.map(() => {
        const text = valueAt(decoded.bytes, ref)!;
        ref += 5 + text.length;
        return text;
      });
      return `${oid}(${values})`;
    });
    return `${position} after ${seen}: ${rows}`;
  });
  return { texts, last: decoded.transactions.at(-1)?.position };
}

/** Reads a stream and seals, as the loop does, wherever `idle` says that the socket has been read empty. */
function cutWhenIdle(messages: readonly Buffer[], idle: (n: number) => boolean): string[] {
  const reader = oneShardReader(new SeenTexts());
  const shard = reader.shards[0]!;
  const read: string[] = [];
  const check: TakeSealed = (records, { span, seen }) => {
    const { texts, last } = readBack(records, seen);
    expect({ transactions: texts.length, last }).toEqual({
      transactions: span.transactions,
      last: span.last,
    });
    read.push(...texts);
  };
  for (const [n, bytes] of messages.entries()) {
    expect(reader.take(bytes, 0, bytes.length)).not.toBe(took.partFull);
    if (!idle(n) || shard.transactions === 0) continue;
    if (reader.inTransaction) shard.sealComplete(check);
    else shard.seal(check);
  }
  if (shard.transactions > 0) shard.seal(check);
  return read;
}

test('a message holds the transactions that its header names, wherever the stream is cut', () => {
  fc.assert(
    fc.property(transactions, fc.array(fc.boolean(), { minLength: 1 }), (script, idle) => {
      const { messages, sent } = streamOf(script);
      expect(cutWhenIdle(messages, (n) => idle[n % idle.length]!)).toEqual(sent);
    }),
    { numRuns: 1_000 },
  );
});

test('a transaction leaves whole although one that is not sent has begun behind it', () => {
  const row: Row = { table: 11, width: 1, announced: false };
  for (const kind of ['own', 'empty'] as const) {
    const { messages, sent } = streamOf([
      { kind: 'user', rows: [row] },
      { kind, rows: [row] },
      { kind: 'user', rows: [row] },
    ]);
    const [, second] = messages.flatMap((bytes, n) => (bytes[0] === tag.begin ? [n] : []));
    expect(cutWhenIdle(messages, (n) => n === second)).toEqual(sent);
  }
});

test('rows of an open transaction keep the columns under which they were written', () => {
  const { messages, sent } = streamOf([
    { kind: 'user', rows: [{ table: 11, width: 1, announced: true }] },
    {
      kind: 'user',
      rows: [
        { table: 11, width: 1, announced: false },
        { table: 11, width: 2, announced: true },
      ],
    },
  ]);
  // Between the new definition and its first row, and behind that row.
  for (const n of [messages.length - 3, messages.length - 2])
    expect(cutWhenIdle(messages, (at) => at === n)).toEqual(sent);
});
