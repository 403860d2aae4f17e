import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { ident } from '../../shared/postgres/ident.ts';
import { type Relation, valueAt } from '../../shared/postgres/pgoutput.ts';
import type { DecodedChanges } from '../../shared/stream/decode.ts';
import { conditionSql } from '../../shared/task/condition-sql.ts';
import { refsOf } from './net-change.ts';
import type { Filter, Shape } from './objects.ts';
import type { Session } from './session.ts';

/** Rows of one statement. */
const ROWS = 20_000;

/**
 * Lets PostgreSQL itself say which rows of a batch meet the conditions of their tables: on this connection, in sets,
 * with the values as the source's types. Gives the offsets of the tuples that do not (false or null, as in WHERE).
 */
export async function evaluateFilters(
  changes: DecodedChanges,
  shapes: ReadonlyMap<Relation, Shape>,
  session: Pick<Session, 'client'>,
): Promise<Set<number>> {
  const outside = new Set<number>();
  const asked = new Map<Shape, { readonly filter: Filter; readonly rows: Row[] }>();
  const { relations, newAt, oldAt } = changes;
  for (let i = 0; i < relations.length; i++) {
    const shape = shapes.get(relations[i]!);
    if (!shape?.filter) continue;
    let entry = asked.get(shape);
    if (!entry) {
      entry = { filter: shape.filter, rows: [] };
      asked.set(shape, entry);
    }
    const old = Math.max(0, oldAt[i]!);
    if (old > 0) entry.rows.push(rowAt(changes, shape, old, 0));
    if (newAt[i] !== 0) entry.rows.push(rowAt(changes, shape, newAt[i]!, old));
  }
  for (const [{ relation }, { filter, rows }] of asked)
    for (let n = 0; n < rows.length; n += ROWS) {
      const part = rows.slice(n, n + ROWS);
      const inside = await ask(session, relation, filter, part);
      for (const [place, { at }] of part.entries()) if (!inside.has(place + 1)) outside.add(at);
    }
  return outside;
}

type Row = { readonly at: number; readonly values: (string | null)[] };

function rowAt({ bytes }: DecodedChanges, { filter, relation }: Shape, at: number, old: number): Row {
  const refs = refsOf(bytes, at);
  const former = old > 0 ? refsOf(bytes, old) : undefined;
  const values = filter!.columns.map(({ name, index }) => {
    let value = valueAt(bytes, refs[index]!);
    if (value === undefined && former) value = valueAt(bytes, former[index]!);
    if (value !== undefined) return value;
    throw new PgtwinError('filter-needs-old-row', {
      detail: `${relation.schema}.${relation.name}.${name} is needed by the table's condition, was not changed and not sent.`,
    });
  });
  return { at, values };
}

async function ask(
  { client }: Pick<Session, 'client'>,
  relation: Relation,
  { where, columns }: Filter,
  rows: readonly Row[],
): Promise<Set<number>> {
  const arrays = ['$1::int4[]', ...columns.map((_, c) => `$${c + 2}::text[]`)];
  const names = ['n', ...columns.map((_, c) => `c${c}`)];
  const values = columns.map(({ name, type }, c) => `, u.c${c}::${type} as ${ident(name)}`).join('');
  const result = await client.query({
    text: /* sql */ `
      select pgtwin_n from (select u.n as pgtwin_n${values} from unnest(${arrays.join(', ')}) u(${names.join(', ')}))
        as ${ident(relation.name)} where ${conditionSql(where)}`,
    values: [rows.map((_, n) => n + 1), ...columns.map((_, c) => rows.map((row) => row.values[c]))],
    rowMode: 'array',
  });
  return new Set((result.rows as unknown as number[][]).map(([n]) => n!));
}
