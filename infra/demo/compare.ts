import type { Readable } from 'node:stream';
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { connect, type Target } from '../../shared/postgres/connect.ts';
import { ident, qualified } from '../../shared/postgres/ident.ts';
import type { Side } from '../../shared/task/schema.ts';

export type Difference = {
  readonly table: string;
  readonly key: string;
  /** The row as text; undefined: not there. */
  readonly a: string | undefined;
  readonly b: string | undefined;
};
export type Comparison = {
  readonly rows: number;
  readonly tables: readonly { readonly table: string; readonly rows: number; readonly differences: number }[];
  readonly differences: number;
  /** The first ones. */
  readonly shown: readonly Difference[];
};
type Table = {
  readonly schema: string;
  readonly name: string;
  readonly key: string[];
  readonly columns: string[];
};

const SHOWN = 10;

const tablesSql = /* sql */ `
select n.nspname as schema, c.relname as name,
  array(select a.attname::text from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attname) as columns,
  array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
        where i.indrelid = c.oid and i.indisprimary order by a.attname) as key
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'pgtwin')
order by 1, 2`;

/** Reads all rows of all tables of both databases in key order, side by side, and compares them as text. */
export async function compare(
  databases: Readonly<Record<Side, { readonly target: Target }>>,
  onTable: (table: string, rows: number) => void = () => undefined,
): Promise<Comparison> {
  const options = { application: 'demo comparison', settings: { work_mem: '64MB' } };
  const [a, b] = await Promise.all([
    connect(databases.a.target, options),
    connect(databases.b.target, options),
  ]);
  try {
    const [inA, inB] = await Promise.all([a, b].map((client) => client.query<Table>(tablesSql)));
    const names = (tables: readonly Table[]) => JSON.stringify(tables);
    if (names(inA!.rows) !== names(inB!.rows))
      throw new Error('The two databases have different tables or columns.');
    const tables: { table: string; rows: number; differences: number }[] = [];
    const shown: Difference[] = [];
    for (const table of inA!.rows) {
      const found = await compareTable(table, a, b, shown);
      tables.push({ table: `${table.schema}.${table.name}`, ...found });
      onTable(table.name, found.rows);
    }
    const sum = (of: 'rows' | 'differences') => tables.reduce((total, each) => total + each[of], 0);
    return { rows: sum('rows'), differences: sum('differences'), tables, shown };
  } finally {
    await Promise.all([a.end(), b.end()]);
  }
}

/** The key in hexadecimal sorts alike on both servers and in JavaScript, whatever it holds. */
function rowsSql({ schema, name, key, columns }: Table): string {
  const list = (names: readonly string[]) =>
    `row(${names.map((column) => `t.${ident(column)}`).join(', ')})::text`;
  return /* sql */ `copy (
    select encode(convert_to(${list(key)}, 'UTF8'), 'hex') collate "C" as key, ${list(columns)}
    from ${qualified(schema, name)} t order by 1) to stdout`;
}

async function compareTable(
  table: Table,
  a: pg.Client,
  b: pg.Client,
  shown: Difference[],
): Promise<{ rows: number; differences: number }> {
  const sql = rowsSql(table);
  const [left, right] = [new Lines(a.query(copyTo(sql))), new Lines(b.query(copyTo(sql)))];
  let rows = 0;
  let differences = 0;
  const differ = (hex: string, inA: string | undefined, inB: string | undefined): void => {
    differences += 1;
    if (shown.length >= SHOWN) return;
    const key = Buffer.from(hex, 'hex').toString();
    shown.push({ table: `${table.schema}.${table.name}`, key, a: inA, b: inB });
  };
  let [one, other] = [await left.next(), await right.next()];
  while (one || other) {
    rows += 1;
    const order = !one ? 1 : !other ? -1 : one.key < other.key ? -1 : one.key > other.key ? 1 : 0;
    if (order < 0) {
      differ(one!.key, one!.text, undefined);
      one = left.take() ?? (await left.next());
    } else if (order > 0) {
      differ(other!.key, undefined, other!.text);
      other = right.take() ?? (await right.next());
    } else {
      if (one!.text !== other!.text) differ(one!.key, one!.text, other!.text);
      one = left.take() ?? (await left.next());
      other = right.take() ?? (await right.next());
    }
  }
  return { rows, differences };
}

type Line = { readonly key: string; readonly text: string };

/** The lines of a COPY, a chunk in memory at a time. */
class Lines {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest = '';
  #lines: string[] = [];
  #at = 0;

  constructor(stream: Readable) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** The next line if it is here already. */
  take(): Line | undefined {
    const line = this.#lines[this.#at];
    if (line === undefined) return undefined;
    this.#at += 1;
    const tab = line.indexOf('\t');
    return { key: line.slice(0, tab), text: line.slice(tab + 1) };
  }

  async next(): Promise<Line | undefined> {
    for (;;) {
      const here = this.take();
      if (here) return here;
      const { value, done } = await this.#chunks.next();
      if (done) return undefined;
      // Latin 1 keeps every byte: equal text is equal bytes, and no character is cut at the end of a chunk.
      this.#lines = (this.#rest + value.toString('latin1')).split('\n');
      this.#rest = this.#lines.pop() ?? '';
      this.#at = 0;
    }
  }
}
