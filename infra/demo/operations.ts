import type pg from 'pg';
import { everyType } from './every-type.ts';
import { bytesSql, type Counts, textSql } from './schema.ts';

/** What a writer knows: which rows are its side's own, and which it has made itself. */
export type Writer = {
  readonly client: pg.Client;
  /** Side a owns odd numbers, side b even ones, so that most writes meet nobody. */
  readonly parity: 0 | 1;
  readonly counts: Counts;
  readonly random: (below: number) => number;
  readonly documents: string[];
  readonly typed: string[];
  /** Each value once: a seed for text. */
  readonly fresh: () => string;
};
/** One transaction. Gives the number of rows it wrote. */
export type Operation = {
  readonly name: string;
  readonly weight: number;
  readonly run: (w: Writer) => Promise<number>;
};

/** A number up to `count` that this side owns. */
const own = ({ parity, random }: Writer, count: number): number => {
  const number = 1 + random(count);
  return number % 2 === parity ? number : number > 1 ? number - 1 : number + 1;
};
const write = async (w: Writer, text: string, values: readonly unknown[] = []): Promise<number> =>
  (await w.client.query(text, [...values])).rowCount ?? 0;
/** Takes one of the list away and gives it. */
const takeOne = (w: Writer, list: string[]): string | undefined => list.splice(w.random(list.length), 1)[0];
const oneOf = (w: Writer, list: readonly string[]): string | undefined => list[w.random(list.length)];

const typedNames = everyType.map(({ name }) => name).join(', ');
const typedValues = everyType.map(({ value }) => value).join(', ');
const typedSets = everyType.filter((_, n) => n % 3 === 0).map(({ name, value }) => `${name} = ${value}`);

export const operations: readonly Operation[] = [
  {
    name: 'order with lines, stock taken',
    weight: 30,
    async run(w) {
      const customer = own(w, w.counts.customers);
      const product = own(w, w.counts.products);
      const lines = 1 + w.random(5);
      const { rows } = await w.client.query<{ id: string }>(
        /* sql */ `insert into shop.orders (customer_id, note) values ($1, $2) returning id`,
        [customer, w.fresh()],
      );
      const inserted = await write(
        w,
        /* sql */ `insert into shop.order_lines (order_id, line_no, product_id, quantity, unit_price)
          select $1, n, $2, n, 9.99 from generate_series(1, $3) n`,
        [rows[0]!.id, product, lines],
      );
      const stock = /* sql */ `update shop.products set stock = stock - $2 where id = $1`;
      return 1 + inserted + (await write(w, stock, [product, lines]));
    },
  },
  {
    name: 'order goes on',
    weight: 20,
    run: (w) =>
      write(w, /* sql */ `update shop.orders set status = 'sent', note = $2 where id = $1`, [
        own(w, w.counts.orders),
        w.fresh(),
      ]),
  },
  {
    name: 'money moves',
    weight: 15,
    async run(w) {
      const accounts = [own(w, w.counts.accounts), own(w, w.counts.accounts)].sort(
        (one, other) => one - other,
      );
      let rows = 0;
      for (const [n, account] of accounts.entries())
        rows += await write(
          w,
          /* sql */ `update shop.accounts set balance = balance + $2, version = version + 1 where id = $1`,
          [account, n === 0 ? -5 : 5],
        );
      return rows;
    },
  },
  {
    name: 'order deleted with its lines',
    weight: 5,
    async run(w) {
      const order = own(w, w.counts.orders);
      const lines = await write(w, /* sql */ `delete from shop.order_lines where order_id = $1`, [order]);
      return lines + (await write(w, /* sql */ `delete from shop.orders where id = $1`, [order]));
    },
  },
  {
    name: 'lines get other keys',
    weight: 4,
    run: (w) =>
      write(w, /* sql */ `update shop.order_lines set line_no = line_no + 1000 where order_id = $1`, [
        own(w, w.counts.orders),
      ]),
  },
  {
    name: 'customer with an account',
    weight: 8,
    async run(w) {
      const { rows } = await w.client.query<{ id: string }>(
        /* sql */ `insert into shop.customers (email, name) values ($1, 'New one') returning id`,
        [`${w.fresh()}@example.com`],
      );
      return (
        1 + (await write(w, /* sql */ `insert into shop.accounts (customer_id) values ($1)`, [rows[0]!.id]))
      );
    },
  },
  {
    name: 'prices of many products',
    weight: 4,
    run: (w) =>
      write(
        w,
        /* sql */ `update shop.products set price = price + 0.01 where id between $1 and $1 + 100 and id % 2 = $2`,
        [own(w, w.counts.products), w.parity],
      ),
  },
  {
    name: 'document of 12 kB, kept apart (TOAST)',
    weight: 5,
    async run(w) {
      const { rows } = await w.client.query<{ id: string }>(
        /* sql */ `insert into shop.documents (title, body, scan, meta)
          values ('new', ${textSql('$1::text', 200)}, ${bytesSql('$1::text', 350)}, '{"pages": 3}') returning id`,
        [w.fresh()],
      );
      w.documents.push(rows[0]!.id);
      return 1;
    },
  },
  {
    name: 'document renamed, its text untouched',
    weight: 8,
    run: (w) =>
      write(
        w,
        /* sql */ `update shop.documents set title = $2, meta = meta || '{"seen": true}', revision = revision + 1
          where id = $1`,
        [oneOf(w, w.documents) ?? null, w.fresh()],
      ),
  },
  {
    name: 'document rewritten',
    weight: 2,
    run: (w) =>
      write(w, /* sql */ `update shop.documents set body = ${textSql('$2::text', 300)} where id = $1`, [
        oneOf(w, w.documents) ?? null,
        w.fresh(),
      ]),
  },
  {
    name: 'document deleted',
    weight: 1,
    run: (w) =>
      write(w, /* sql */ `delete from shop.documents where id = $1`, [takeOne(w, w.documents) ?? null]),
  },
  {
    name: 'a row with every type',
    weight: 5,
    async run(w) {
      const { rows } = await w.client.query<{ id: string }>(
        /* sql */ `insert into shop.every_type (${typedNames}) select ${typedValues} from (select $1::bigint as i) s
          returning id`,
        [1 + w.random(100_000)],
      );
      w.typed.push(rows[0]!.id);
      return 1;
    },
  },
  {
    name: 'every third type changed',
    weight: 4,
    run: (w) =>
      write(
        w,
        /* sql */ `update shop.every_type t set ${typedSets.join(', ')} from (select $1::bigint as i) s where t.id = $2`,
        [1 + w.random(100_000), oneOf(w, w.typed) ?? null],
      ),
  },
  {
    name: 'a row with every type deleted',
    weight: 1,
    run: (w) =>
      write(w, /* sql */ `delete from shop.every_type where id = $1`, [takeOne(w, w.typed) ?? null]),
  },
];

/** The large transaction: so many rows in one statement. */
export const largeSql = /* sql */ `
insert into shop.events (source, kind, payload) select 'large', i % 100, 'event ' || i from generate_series(1, $1) i`;
