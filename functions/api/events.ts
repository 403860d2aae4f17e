import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type Task, type TaskEvent, taskEvent } from '../../shared/task/schema.ts';
import type { Table } from '../../shared/task/table.ts';

/**
 * Where a page ended: at an event still in the task, found again by what it is, or at an item. New events and the
 * move of old ones into items of their own may happen between two pages.
 */
type Cursor = { readonly event: TaskEvent } | { readonly after: string };
export type EventPage = { readonly events: TaskEvent[]; readonly next?: string };

/** One page of a task's events, the newest first. Throws `invalid-request` for a cursor that is not ours. */
export async function readEvents(
  table: Table,
  task: Task,
  { limit, cursor: text }: { limit: number; cursor?: string | undefined },
): Promise<EventPage> {
  const cursor = text === undefined ? undefined : decodeCursor(text);
  const inTask = task.events.toReversed();
  let newerThan: TaskEvent | undefined;
  if (cursor === undefined || 'event' in cursor) {
    const place = cursor ? inTask.findIndex((event) => isSame(event, cursor.event)) : -1;
    // Not in the task any more: it is an item now, and so is everything older.
    const moved = cursor !== undefined && place < 0;
    const page = moved ? [] : inTask.slice(place + 1, place + 1 + limit);
    const last = page.at(-1) ?? cursor?.event;
    const rest = moved ? 0 : inTask.length - (place + 1) - page.length;
    if (rest > 0) return { events: page, next: encodeCursor({ event: last! }) };
    newerThan = last;
    if (page.length > 0) {
      const older = await table.query(task.id, { prefix: 'event#', limit: 1, descending: true });
      return older.items.length > 0
        ? { events: page, next: encodeCursor({ event: last! }) }
        : { events: page };
    }
  }
  return readItems(table, task, {
    limit,
    after: cursor && 'after' in cursor ? cursor.after : undefined,
    newerThan,
  });
}

/** Events that left the task. One that is written as an item and still in the task is given only once. */
async function readItems(
  table: Table,
  task: Task,
  { limit, after, newerThan }: { limit: number; after: string | undefined; newerThan: TaskEvent | undefined },
): Promise<EventPage> {
  const page = await table.query(task.id, {
    prefix: 'event#',
    limit,
    descending: true,
    ...(after === undefined ? {} : { after }),
  });
  const events = page.items
    .map((item) => taskEvent.parse(item.body))
    .filter((event) => !task.events.some((other) => isSame(event, other)))
    .filter((event) => newerThan === undefined || (event.at <= newerThan.at && !isSame(event, newerThan)));
  return page.next === undefined ? { events } : { events, next: encodeCursor({ after: page.next }) };
}

const isSame = (one: TaskEvent, other: TaskEvent): boolean =>
  one.at === other.at && one.input === other.input && one.from === other.from && one.to === other.to;

const encodeCursor = (cursor: Cursor): string => Buffer.from(JSON.stringify(cursor)).toString('base64url');

function decodeCursor(text: string): Cursor {
  try {
    const value = JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>;
    const after = value['after'];
    if (typeof after === 'string' && after.startsWith('event#')) return { after };
    return { event: taskEvent.parse(value['event']) };
  } catch {
    throw new PgtwinError('invalid-request', {
      field: 'query.cursor',
      detail: 'query.cursor: must be `next` of the page before.',
    });
  }
}
