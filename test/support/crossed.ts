import type { Twin } from './twin.ts';

/** Writes on both sides that do not know of each other: the stream of each waits for a lock that we hold meanwhile. */
export async function crossed(twin: Twin, a: string, b: string): Promise<void> {
  const hold = await Promise.all([twin.a.connect(), twin.b.connect()]);
  for (const client of hold) await client.query('begin; select from pgtwin.apply_progress for update');
  await twin.a.query(a);
  await twin.b.query(b);
  for (const client of hold) await client.query('commit');
  await twin.settle();
}
