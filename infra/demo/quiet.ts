import type pg from 'pg';
import { type Side, sides } from '../../shared/task/schema.ts';
import type { LatencyProbe } from './latency.ts';

/** Rows that the sides write to each other about conflicts: they may cause more of them. */
const controlSql = /* sql */ `
select coalesce(sum(coalesce(last_value, 0)), 0)::text as n from pg_sequences where schemaname = 'pgtwin'`;

/**
 * Waits until everything committed so far has arrived on the other side: a marker each way, behind all that was
 * written, until neither side has written anything about conflicts between two rounds.
 */
export async function waitForQuiet(
  clients: Readonly<Record<Side, pg.Client>>,
  probes: Readonly<Record<Side, LatencyProbe>>,
  signal: AbortSignal,
): Promise<void> {
  let before: string | undefined;
  for (let quiet = 0; quiet < 2; ) {
    for (const side of sides) await probes[side].pass(signal);
    const counts = await Promise.all(sides.map((side) => clients[side].query<{ n: string }>(controlSql)));
    const now = counts.map(({ rows }) => rows[0]?.n).join(' ');
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}
