import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import {
  asPosition,
  commitOf,
  endOfTransaction,
  lsnOf,
  lsnText,
  positionOf,
  zeroPosition,
} from './position.ts';

const lsn = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.bigInt({ min: 0n, max: 300n }));
const index = fc.oneof(fc.integer({ min: 0, max: 0xffff_fffe }), fc.integer({ min: 0, max: 300 }));
const sign = <T extends bigint | number | string>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

test('the order of the text is that of commit and index', () => {
  fc.assert(
    fc.property(lsn, index, lsn, index, (c1, i1, c2, i2) => {
      const order = sign(c1, c2) || sign(i1, i2);
      expect(sign<string>(positionOf(c1, i1), positionOf(c2, i2))).toBe(order);
      expect(positionOf(c1, i1) < endOfTransaction(c1)).toBe(true);
      expect(sign<string>(endOfTransaction(c1), positionOf(c2, i2))).toBe(c1 < c2 ? -1 : 1);
      expect(zeroPosition <= positionOf(c1, i1)).toBe(true);
    }),
  );
});

test('positions and LSNs are read back as they were written, by us and by PostgreSQL', () => {
  fc.assert(
    fc.property(lsn, index, (commit, i) => {
      const position = positionOf(commit, i);
      expect(asPosition(position)).toBe(position);
      expect(commitOf(position)).toBe(commit);
      expect(lsnOf(lsnText(commit))).toBe(commit);
    }),
  );
  expect(lsnText(0n)).toBe('0/0');
  expect(lsnText((1n << 64n) - 1n)).toBe('FFFFFFFF/FFFFFFFF');
  expect(lsnText(0x16_b374_d848n)).toBe('16/B374D848');
});

test('other text is no position', () => {
  const damage = fc
    .tuple(lsn, fc.nat(24), fc.constantFrom('', ' ', 'g', 'a', '0', '.'))
    .map(([commit, at, by]) => {
      const text: string = endOfTransaction(commit);
      return text.slice(0, at) + by + text.slice(at + 1);
    });
  fc.assert(
    fc.property(fc.oneof(damage, fc.string()), (text) => {
      if (/^[0-9A-F]{16}\.[0-9A-F]{8}$/.test(text)) expect(asPosition(text)).toBe(text);
      else expect(() => asPosition(text)).toThrow(PgtwinError);
    }),
  );
});
