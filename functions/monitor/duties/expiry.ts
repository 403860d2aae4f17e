import { randomBytes } from 'node:crypto';
import type { Duty } from '../duty.ts';

const AT_ONCE = 100;

/**
 * Removes items whose time is over. DynamoDB does that by itself, the table of the local platform does not. Keys of
 * requests have no order of time: a look at some of them, from a place by chance, finds all of them in the end.
 */
export const expiry: Duty = {
  name: 'expiry',
  async run({ repository: { table }, now }) {
    const seconds = now.getTime() / 1000;
    const pages = [
      await table.query('audit', { limit: AT_ONCE }),
      await table.query('idempotency', { limit: AT_ONCE }),
      await table.query('idempotency', { limit: AT_ONCE, after: randomBytes(32).toString('hex') }),
    ];
    for (const { pk, sk, expires } of pages.flatMap(({ items }) => items))
      if (expires !== undefined && expires < seconds) await table.remove(pk, sk);
  },
};
