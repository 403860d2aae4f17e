import type { Key, Row } from '../../shared/conflict/rows.ts';
import { nameOf, type SetStatement, sqlOf } from './plan.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';

/** A row that a decision writes; the row of a deletion is not read. An update leaves its key as it is. */
export type RowWrite = {
  readonly op: SetStatement['op'];
  readonly table: ApplyTable;
  readonly key: Key;
  readonly row: Row;
};

/** A set-based statement met rows whose state can't be told any more: the batch is to be replayed exactly. */
export class NeedsExact extends Error {}

const operations = ['delete', 'update', 'insert'] as const;

/**
 * Writes rows of different keys: tables in the order in which they come, of each the DELETE, the UPDATEs and the
 * INSERTs, one statement for each set of columns. Throws `NeedsExact` if others have written some meanwhile.
 */
export async function writeRows(session: Session, writes: readonly RowWrite[]): Promise<void> {
  const groups = new Map<string, Group>();
  const tables = [...new Set(writes.map(({ table }) => table))];
  for (const write of writes) {
    const columns = columnsOf(write);
    const id = `${tables.indexOf(write.table)} ${write.op} ${columns}`;
    const group = groups.get(id) ?? { op: write.op, table: write.table, columns, rows: [] };
    groups.set(id, group);
    group.rows.push(write);
  }
  for (const table of tables)
    for (const op of operations)
      for (const group of groups.values())
        if (group.table === table && group.op === op) await writeGroup(session, group);
}

type Group = Pick<SetStatement, 'op' | 'table' | 'columns'> & { readonly rows: RowWrite[] };

async function writeGroup(session: Session, group: Group): Promise<void> {
  const { op, table, columns, rows } = group;
  const places = new Map(table.key.map((column, n) => [column, n]));
  const sent = ({ key, row }: RowWrite, column: number) => {
    const place = op === 'insert' ? undefined : places.get(column);
    return place === undefined ? row[column] : key[place];
  };
  const parameters = columns.map((c) => rows.map((write) => sent(write, c)));
  const text = sqlOf({ op, table, columns }, false);
  const { rowCount } = await session.client.query({ name: nameOf(text), text, values: parameters });
  if (rowCount !== rows.length) throw new NeedsExact();
}

const columnsOf = ({ op, table, row }: RowWrite): readonly number[] => {
  if (op === 'delete') return table.key;
  const columns = row.flatMap((value, column) => (value === undefined ? [] : [column]));
  if (op === 'insert') return columns;
  return [...table.key, ...columns.filter((c) => !table.key.includes(c) && !table.notUpdatable.has(c))];
};
