import { expect, test } from 'vitest';
import {
  guardOf,
  isUnseen,
  nothingSeen,
  unseenSql,
  withFloor,
  withTransactions,
} from '../../shared/conflict/seen.ts';
import { addXids, noXids } from '../../shared/conflict/xid-ranges.ts';
import { openDatabase } from '../support/database.ts';

test('the SQL guard and the rule agree, on both sides of a wrap', async () => {
  await using database = await openDatabase('a');
  for (const floor of [800n, (1n << 32n) - 40n, (1n << 33n) + 9n, 0n, (1n << 31n) - 7n]) {
    const seen = withTransactions(
      withFloor(nothingSeen, floor, floor),
      [1n, 2n, 3n, 40n, 41n, 90n].map((offset) => ({ xid: floor + offset, time: 0n })),
    );
    const own = addXids(noXids, [floor + 4n, floor + 60n]);
    for (const next of [floor + 100n, floor + (1n << 31n)]) {
      const near = Array.from({ length: 220 }, (_, index) => BigInt.asUintN(32, floor + BigInt(index - 60)));
      const xids = [...near, 2n, 3n, (1n << 32n) - 1n, 1n << 31n].map(String);
      const rows = await database.rows<{ xmin: string; unseen: boolean }>(
        /* sql */ `select t.xmin::text as xmin, ${unseenSql('t', 1)} as unseen
          from (select x::xid as xmin from unnest($4::text[]) x) t`,
        [...guardOf(seen, own, next), xids],
      );
      expect(rows.length).toBe(xids.length);
      for (const { xmin, unseen } of rows)
        expect({ xmin, unseen }).toEqual({ xmin, unseen: isUnseen(Number(xmin), seen, own, next) });
    }
  }
});

test('a real row is unseen until its transaction is seen', async () => {
  await using database = await openDatabase('a', { schema: 'create table item (id int primary key)' });
  const [{ next }] = (await database.rows<{ next: string }>(
    'select pg_snapshot_xmax(pg_current_snapshot())::text as next',
  )) as [{ next: string }];
  const [{ xid }] = (await database.rows<{ xid: string }>(
    'insert into item values (1) returning pg_current_xact_id()::text as xid',
  )) as [{ xid: string }];
  const before = withFloor(nothingSeen, BigInt(next), BigInt(next));
  const after = withTransactions(before, [{ xid: BigInt(xid), time: 0n }]);
  const ask = (state: typeof before, own = noXids) =>
    database.rows(`select ${unseenSql('t', 1)} as unseen from item t`, [
      ...guardOf(state, own, BigInt(xid) + 1n),
    ]);
  expect(await ask(before)).toEqual([{ unseen: true }]);
  expect(await ask(after)).toEqual([{ unseen: false }]);
  expect(await ask(before, addXids(noXids, [BigInt(xid)]))).toEqual([{ unseen: false }]);
});
