import { type Key, keyText, type Row, type Side } from '../../shared/conflict/rows.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { type Relation, valueAt } from '../../shared/postgres/pgoutput.ts';
import { parseTextArray } from '../../shared/postgres/text-array.ts';
import { refsOf } from './net-change.ts';

/** A control row of the conflict protocol, as it came through the stream. */
export type ControlRow = {
  readonly op: 'pull' | 'answer' | 'outcome';
  readonly id: string;
  readonly relation: string;
  readonly key: Key;
  readonly row: Row | null;
  /** What the row's values are called at the sender. */
  readonly columns: readonly string[];
  readonly pullId: string | null;
  readonly time: bigint | null;
  readonly side: Side | null;
};

const isControl = (name: string): name is ControlRow['op'] =>
  name === 'pull' || name === 'answer' || name === 'outcome';

/** Reads the tuple at `at` of a control table; undefined for other tables of schema pgtwin. */
export function readControlRow(bytes: Buffer, relation: Relation, at: number): ControlRow | undefined {
  if (!isControl(relation.name)) return undefined;
  const refs = refsOf(bytes, at);
  const value = (name: string): string | null => {
    const index = relation.columns.findIndex((c) => c.name === name);
    return index < 0 ? null : (valueAt(bytes, refs[index]!) ?? null);
  };
  const row = value('row_text');
  const columns = value('column_names');
  const time = value('version_time');
  return {
    op: relation.name,
    id: value('id') ?? '',
    relation: value('relation') ?? '',
    key: parseTextArray(value('key') ?? '{}') as Key,
    row: row === null ? null : parseTextArray(row),
    columns: columns === null ? [] : (parseTextArray(columns) as string[]),
    pullId: value('pull_id'),
    time: time === null ? null : BigInt(time),
    side: value('version_side') as Side | null,
  };
}

/**
 * A control row's row in the order of this side's table: the two sides may have their columns in another order. One
 * that the sender does not have is not sent; one that is not here is left out.
 */
export function rowHere({ row, columns }: ControlRow, source: Relation): Row | null {
  if (row === null) return null;
  const places = new Map(columns.map((column, n) => [column, n]));
  return source.columns.map(({ name }) => {
    const place = places.get(name);
    return place === undefined ? undefined : row[place];
  });
}

/** A control row that is kept here: an outcome, with the version that won, or a pull. */
export type OpenControl = {
  readonly id: string;
  readonly xmin: number;
  readonly time: bigint | null;
  readonly side: Side | null;
  readonly met: readonly string[];
  readonly skipped: boolean;
};

const openSql = /* sql */ `
  select id::text, relation, key, xmin::text as xmin, version_time, version_side, null::text[] as met, false as skipped
    from pgtwin.outcome where task = $1
  union all
  select id::text, relation, key, xmin::text, null, null, met, skipped from pgtwin.pull where task = $1`;

/**
 * The control rows kept here by relation and key: at the arbiter what it has published or asked and the other side may
 * not have seen yet, at the follower its open pulls.
 */
export async function readOpenControls(
  client: Queryable,
  task: string,
): Promise<Map<string, Map<string, OpenControl[]>>> {
  const { rows } = await client.query<{
    id: string;
    relation: string;
    key: string[];
    xmin: string;
    version_time: bigint | null;
    version_side: Side | null;
    met: string[] | null;
    skipped: boolean;
  }>({ name: 'open-controls', text: openSql, values: [task] } as never);
  const open = new Map<string, Map<string, OpenControl[]>>();
  for (const r of rows) {
    const keys = open.get(r.relation) ?? new Map<string, OpenControl[]>();
    open.set(r.relation, keys);
    const list = keys.get(keyText(r.key)) ?? [];
    list.push({
      id: r.id,
      xmin: Number(r.xmin),
      time: r.version_time,
      side: r.version_side,
      met: r.met ?? [],
      skipped: r.skipped,
    });
    keys.set(keyText(r.key), list);
  }
  return open;
}
