import type { Twin } from './twin.ts';

/** Writes on both sides that do not know of each other: the stream of each waits for a lock that we hold. */
export async function cross(twin: Twin, a: string, b: string): Promise<void> {
  const hold = await Promise.all([twin.a.connect(), twin.b.connect()]);
  for (const client of hold) {
    await client.query('begin');
    await client.query('select from pgtwin.apply_progress for update');
  }
  await twin.a.query(a);
  await twin.b.query(b);
  for (const client of hold) {
    await client.query('commit');
    await client.end();
  }
}

/** The same, and waits until it is quiet. */
export async function crossed(twin: Twin, a: string, b: string): Promise<void> {
  await cross(twin, a, b);
  await twin.settle();
}
