import fc from 'fast-check';

/** pgoutput messages as the server writes them (PostgreSQL manual, 53.9), for tests without one. */

/** Text, NULL, or `undefined`: TOASTed, unchanged and not sent. */
export type TestValue = string | null | undefined;
export type TestRow = readonly TestValue[];

const u16 = (value: number) => [value >>> 8, value & 255];
const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 65_535)];
const u64 = (value: bigint) => [...u32(Number(value >> 32n)), ...u32(Number(value & 0xffff_ffffn))];
const name = (text: string) => [...Buffer.from(text), 0];
const bytes = (kind: string, ...parts: readonly (readonly number[])[]) =>
  Buffer.from([kind.charCodeAt(0), ...parts.flat()]);
const value = (v: TestValue): number[] => {
  if (v === undefined) return [0x75];
  if (v === null) return [0x6e];
  const text = Buffer.from(v);
  return [0x74, ...u32(text.length), ...text];
};
const tuple = (kind: string, row: TestRow): number[] => [
  kind.charCodeAt(0),
  ...u16(row.length),
  ...row.flatMap(value),
];

export type TestRelation = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly identity: string;
  readonly columns: readonly { readonly name: string; readonly inKey: boolean }[];
};
export type TestOld = { readonly kind: 'K' | 'O'; readonly row: TestRow };

export const pgoutput = {
  begin: (commit: bigint, time: bigint, xid: number) => bytes('B', u64(commit), u64(time), u32(xid)),
  commit: (commit: bigint, end: bigint, time: bigint) => bytes('C', [0], u64(commit), u64(end), u64(time)),
  relation: (r: TestRelation) =>
    bytes(
      'R',
      u32(r.oid),
      name(r.schema),
      name(r.name),
      [r.identity.charCodeAt(0), ...u16(r.columns.length)],
      r.columns.flatMap((c) => [c.inKey ? 1 : 0, ...name(c.name), ...u32(25), ...u32(0xffff_ffff)]),
    ),
  insert: (oid: number, row: TestRow) => bytes('I', u32(oid), tuple('N', row)),
  update: (oid: number, row: TestRow, old?: TestOld) =>
    bytes('U', u32(oid), old ? tuple(old.kind, old.row) : [], tuple('N', row)),
  delete: (oid: number, { kind, row }: TestOld) => bytes('D', u32(oid), tuple(kind, row)),
  truncate: (oids: readonly number[], options = 0) =>
    bytes('T', u32(oids.length), [options], oids.flatMap(u32)),
};

/** Length and message, one behind the other, as messages of pgtwin hold them. */
export const records = (list: readonly Buffer[]): Buffer =>
  Buffer.concat(list.flatMap((b) => [Buffer.from(u32(b.length)), b]));

/** The bytes cut off, or some of them changed, lost, doubled: never what they were. */
export const damaged = (whole: Buffer): fc.Arbitrary<Buffer> => {
  const at = fc.nat(Math.max(0, whole.length - 1));
  const changed = fc
    .array(fc.tuple(at, fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x4e, 0x74, 0x75)), {
      minLength: 1,
      maxLength: 4,
    })
    .map((edits) => {
      const copy = Buffer.from(whole);
      for (const [place, byte] of edits) copy[place] = byte;
      return copy;
    });
  const flipped = fc.tuple(at, fc.integer({ min: 1, max: 255 })).map(([place, mask]) => {
    const copy = Buffer.from(whole);
    copy[place] = copy[place]! ^ mask;
    return copy;
  });
  const cut = at.map((end) => whole.subarray(0, end));
  const lost = fc
    .tuple(at, fc.integer({ min: 1, max: 9 }))
    .map(([from, count]) => Buffer.concat([whole.subarray(0, from), whole.subarray(from + count)]));
  const doubled = at.map((from) => Buffer.concat([whole.subarray(0, from), whole.subarray(from >> 1)]));
  return fc.oneof(changed, flipped, cut, lost, doubled);
};
