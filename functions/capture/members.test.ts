import { expect, test } from 'vitest';
import { openMemoryTable } from '../../test/support/memory-table.ts';
import { Members } from './members.ts';

const times = { ttlMs: 10_000, renewMs: 3_000 };

test('captures share tasks evenly; a dead one stops counting when its time is over, one that left at once', async () => {
  let now = 0;
  const clock = { now: () => new Date(now), sleep: async () => {}, random: () => 0 };
  const table = openMemoryTable();
  const open = (owner: string, pool = 'default') => new Members({ table, owner, pool, times, clock });
  const [a, b, elsewhere] = [open('a'), open('b'), open('c', 'other')];
  /** A round of everybody who is alive, three seconds later. */
  const round = async (...alive: Members[]) => {
    now += 3_000;
    const shares: number[] = [];
    for (const member of alive) shares.push(await member.share(101, 0));
    return shares;
  };
  expect(await round(a)).toEqual([101]);
  await round(a, b, elsewhere);
  await round(a, b, elsewhere);
  expect(await round(a, b, elsewhere)).toEqual([51, 51, 101]);
  // b has died.
  expect(await round(a)).toEqual([51]);
  await round(a);
  await round(a);
  await round(a);
  expect(await round(a)).toEqual([101]);
  // Its record stays for a while, and a capture that begins does not take it for alive.
  const d = open('d');
  await round(a, d);
  await round(a, d);
  expect(await round(a, d)).toEqual([51, 51]);
  await d.leave();
  expect(await round(a)).toEqual([101]);
});
