import { z } from 'zod';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { Table } from './table.ts';

/*
 * Figures of a task by the minute, for a day: one item an hour ('history#<hour>' in the task's partition), so that a
 * minute costs the write of a few KB, and DynamoDB's 400 KB are far away.
 */
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
export const HISTORY_HOURS = 24;

export type HistoryPoint = {
  readonly at: string;
  readonly latencySeconds: number | null;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
};

/** Minute of the hour, seconds of latency, rows and bytes a second. */
const minute = z.tuple([z.number().int().min(0).max(59), z.number().nullable(), z.number(), z.number()]);
const hourItem = z.strictObject({ v: z.literal(1), minutes: z.array(minute).max(60) });

const keyOf = (hour: number): string => `history#${String(hour).padStart(8, '0')}`;
const rounded = (value: number): number => Math.round(value * 1000) / 1000;

/**
 * Adds a minute's figures; those of the same minute are replaced, so that it may be done twice. Of two at once one is
 * lost: the next minute is as good. What is older than a day goes.
 */
export async function addToHistory(
  table: Table,
  taskId: string,
  now: Date,
  figures: Omit<HistoryPoint, 'at'>,
): Promise<void> {
  const hour = Math.floor(now.getTime() / HOUR_MS);
  const own = now.getUTCMinutes();
  const stored = await table.get(taskId, keyOf(hour));
  const before = stored ? parse(stored.body, taskId).minutes.filter(([n]) => n !== own) : [];
  const { latencySeconds, rowsPerSecond, bytesPerSecond } = figures;
  const latency = latencySeconds === null ? null : rounded(latencySeconds);
  const minutes = [
    ...before,
    [own, latency, rounded(rowsPerSecond), Math.round(bytesPerSecond)] as z.infer<typeof minute>,
  ].sort(([one], [other]) => one - other);
  const expires = ((hour + HISTORY_HOURS + 2) * HOUR_MS) / 1000;
  await table.put(
    { pk: taskId, sk: keyOf(hour), version: (stored?.version ?? 0) + 1, body: { v: 1, minutes }, expires },
    stored?.version ?? 'absent',
  );
  // Where nothing vanishes by itself.
  if (stored) return;
  const { items } = await table.query(taskId, { prefix: 'history#', limit: 2 * HISTORY_HOURS });
  for (const { sk } of items) if (sk < keyOf(hour - HISTORY_HOURS)) await table.remove(taskId, sk);
}

/** The figures of the last hours by the minute, the oldest first; minutes in which nothing ran are left out. */
export async function readHistory(
  table: Table,
  taskId: string,
  now: Date,
  hours = HISTORY_HOURS,
): Promise<HistoryPoint[]> {
  const since = now.getTime() - hours * HOUR_MS;
  const { items } = await table.query(taskId, {
    prefix: 'history#',
    after: keyOf(Math.floor(since / HOUR_MS) - 1),
    limit: HISTORY_HOURS + 2,
  });
  return items.flatMap(({ sk, body }) => {
    const startMs = Number(sk.slice('history#'.length)) * HOUR_MS;
    return parse(body, taskId)
      .minutes.map(([n, latencySeconds, rowsPerSecond, bytesPerSecond]) => ({
        ...{ atMs: startMs + n * MINUTE_MS, latencySeconds, rowsPerSecond, bytesPerSecond },
      }))
      .filter(({ atMs }) => atMs >= since)
      .map(({ atMs, ...figures }) => ({ at: new Date(atMs).toISOString(), ...figures }));
  });
}

function parse(body: unknown, taskId: string): z.infer<typeof hourItem> {
  const parsed = hourItem.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new PgtwinError('internal', { detail: `The stored history of task ${taskId} is not readable.` });
}
