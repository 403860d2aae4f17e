import { beat } from '../postgres/heartbeat.ts';
import type { Queryable } from '../postgres/rows.ts';
import { asPosition, commitOf, lsnOf } from '../stream/position.ts';
import { type Direction, destinationOf, type Side, sourceOf, taskIdOf } from '../task/schema.ts';

/** Where each source stood at a moment, by direction: what had to be applied on the other side by then. */
export type Marks = { readonly [D in Direction]?: string | undefined };

type Clients = Readonly<Record<Side, Queryable>>;

/**
 * The positions of the sources now, for directions that are streaming: everything that a read before this saw was
 * committed below. A heartbeat goes out behind each, so that a quiet stream passes it at once.
 */
export async function readMarks(
  clients: Clients,
  pair: string,
  streaming: readonly Direction[],
): Promise<Marks> {
  const marks = await Promise.all(
    streaming.map(async (direction) => {
      const source = clients[sourceOf(direction)];
      const { rows } = await source.query(/* sql */ `select pg_current_wal_insert_lsn()::text as lsn`);
      await beat(source, taskIdOf(pair, direction));
      return [direction, String(rows[0].lsn)] as const;
    }),
  );
  return Object.fromEntries(marks);
}

/** Whether everything below these positions has been applied on the other side, in all shards. */
export async function havePassed(clients: Clients, pair: string, marks: Marks): Promise<boolean> {
  for (const direction of ['forward', 'reverse'] as const) {
    const mark = marks[direction];
    if (mark === undefined) continue;
    const { rows } = await clients[destinationOf(direction)].query(
      /* sql */ `select min(position) as position from pgtwin.apply_progress where task = $1`,
      [taskIdOf(pair, direction)],
    );
    const position = rows[0]?.position as string | null | undefined;
    if (!position || commitOf(asPosition(position)) < lsnOf(mark)) return false;
  }
  return true;
}
