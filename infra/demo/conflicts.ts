import type pg from 'pg';
import type { ApiClient } from '../../shared/client/client.ts';
import type { ConflictView } from '../../shared/client/contract.ts';
import { type Direction, directions, type Side, sides } from '../../shared/task/schema.ts';

/** Two writes that contradict each other, and how to see what is there. */
type Clash = {
  readonly what: string;
  readonly table: string;
  readonly keys: readonly string[];
  readonly a: string;
  readonly b: string;
  /** One text, or NULL if nothing is there. */
  readonly show: string;
};
export type ClashOutcome = {
  readonly what: string;
  readonly a: string;
  readonly b: string;
  /** What both sides hold afterwards, `undefined` if they differ. */
  readonly result: string | undefined;
  readonly logged: readonly string[];
};

const ids = {
  order1: 900_000_001,
  order2: 900_000_003,
  customer: 900_000_005,
  odd: 900_000_007,
  even: 900_000_008,
};

/** Rows that the clashes are about; to be on both sides before. */
export const clashRowsSql = /* sql */ `
insert into shop.orders (id, customer_id, note)
select id, (select min(id) from shop.customers), 'as it was' from unnest(array[${ids.order1}, ${ids.order2}]) id`;

const order = (id: number): string =>
  /* sql */ `select status || ', ' || note from shop.orders where id = ${id}`;
const customers = (where: string): string => /* sql */ `
  select string_agg(id || ' ' || name, ' and ' order by id) from shop.customers where ${where}`;

const clashes: readonly Clash[] = [
  {
    what: 'update / update',
    table: 'products',
    keys: ['1'],
    a: /* sql */ `update shop.products set name = 'Kettle', price = 10 where id = 1`,
    b: /* sql */ `update shop.products set name = 'Teapot', price = 12 where id = 1`,
    show: /* sql */ `select name || ' for ' || price from shop.products where id = 1`,
  },
  {
    what: 'insert / insert, same key',
    table: 'customers',
    keys: [String(ids.customer)],
    a: /* sql */ `insert into shop.customers (id, email, name) values (${ids.customer}, 'ada@example.com', 'Ada')`,
    b: /* sql */ `insert into shop.customers (id, email, name) values (${ids.customer}, 'bob@example.com', 'Bob')`,
    show: customers(`id = ${ids.customer}`),
  },
  {
    what: 'delete / update',
    table: 'orders',
    keys: [String(ids.order1)],
    a: /* sql */ `delete from shop.orders where id = ${ids.order1}`,
    b: /* sql */ `update shop.orders set status = 'paid', note = 'paid on b' where id = ${ids.order1}`,
    show: order(ids.order1),
  },
  {
    what: 'update / delete',
    table: 'orders',
    keys: [String(ids.order2)],
    a: /* sql */ `update shop.orders set status = 'sent', note = 'sent on a' where id = ${ids.order2}`,
    b: /* sql */ `delete from shop.orders where id = ${ids.order2}`,
    show: order(ids.order2),
  },
  {
    what: 'same unique value, two keys',
    table: 'customers',
    keys: [String(ids.odd), String(ids.even)],
    a: /* sql */ `insert into shop.customers (id, email, name) values (${ids.odd}, 'same@example.com', 'Carol')`,
    b: /* sql */ `insert into shop.customers (id, email, name) values (${ids.even}, 'same@example.com', 'Dan')`,
    show: customers(`email = 'same@example.com' or id in (${ids.odd}, ${ids.even})`),
  },
];

const shown = async (client: pg.Client, text: string): Promise<string> => {
  const { rows } = await client.query({ text, rowMode: 'array' });
  return (rows as unknown as (string | null)[][])[0]?.[0] ?? '(no row)';
};

/** Writes all of them on both sides; to be called while neither side hears of the other. Gives what each side holds. */
export async function clash(clients: Readonly<Record<Side, pg.Client>>): Promise<Record<Side, string>[]> {
  const held: Record<Side, string>[] = [];
  for (const each of clashes) {
    for (const side of sides) await clients[side].query(each[side]);
    held.push({ a: await shown(clients.a, each.show), b: await shown(clients.b, each.show) });
  }
  return held;
}

/** What came of it, on both sides and in the conflict logs. */
export async function readOutcomes(
  clients: Readonly<Record<Side, pg.Client>>,
  held: readonly Record<Side, string>[],
  api: ApiClient,
  pair: string,
): Promise<ClashOutcome[]> {
  const logs = await Promise.all(directions.map((direction) => readLog(api, pair, direction)));
  const entries = logs.flat();
  const outcomes: ClashOutcome[] = [];
  for (const [n, { what, table, keys, show }] of clashes.entries()) {
    const [a, b] = await Promise.all([shown(clients.a, show), shown(clients.b, show)]);
    const logged = entries
      .filter(
        (entry) =>
          entry.table === table && keys.includes(String((entry.key as { id?: unknown } | undefined)?.id)),
      )
      .map(({ kind, result }) => `${kind}: ${result}`);
    outcomes.push({
      ...{ what, a: held[n]?.a ?? '', b: held[n]?.b ?? '' },
      result: a === b ? a : undefined,
      logged: [...new Set(logged)],
    });
  }
  return outcomes;
}

type LogEntry = Pick<ConflictView, 'table' | 'kind' | 'result' | 'key'>;
const readLog = async (api: ApiClient, pair: string, direction: Direction): Promise<LogEntry[]> =>
  (await api.listConflicts(pair, direction, { limit: 200 })).conflicts;
