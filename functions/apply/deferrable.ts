import type { Row, Unique } from '../../shared/conflict/rows.ts';
import type { SetStatement } from './plan.ts';
import type { Session } from './session.ts';
import { type ApplyTable, columnList } from './tables.ts';

/*
 * PostgreSQL checks a deferrable unique constraint by a trigger of its own, and session_replication_role = replica
 * switches that off like any other: two rows could get one unique value. Where nothing else hangs on the table, its
 * statements run under role `origin`, and the constraint is checked as always. Where triggers or foreign keys must not
 * fire, the table is locked against other writers for the rest of the transaction, and we look ourselves.
 *
 * In between a transaction may violate such a constraint, so a single change is not decided on it at first: the check
 * at the end tells whether the two sides have collided. Only then, in mode `strict`, every change is.
 */

/** Sends a statement that writes rows of a table, so that its deferrable constraints are checked. */
export function withConstraints<T>(session: Session, table: ApplyTable, send: () => Promise<T>): Promise<T> {
  if (!session.replica || !table.deferrableUnique || table.hasTriggers) return send();
  const { client, sent } = session;
  sent.add(client.query(/* sql */ `set local session_replication_role = origin`));
  const result = sent.add(send());
  // After a failure nothing more is taken, and ROLLBACK sets the role back.
  sent.add(client.query(/* sql */ `set local session_replication_role = replica`));
  return result;
}

/** True if nobody checks the table's deferrable constraints but we. */
const isUnchecked = (session: Session, table: ApplyTable): boolean =>
  session.replica && table.deferrableUnique && table.hasTriggers;

/** Before the first read of a table: afterwards nobody else can write a row that would collide with ours. */
export async function lockUnchecked(session: Session, table: ApplyTable): Promise<void> {
  if (isUnchecked(session, table))
    await session.client.query(/* sql */ `lock table ${table.target} in share row exclusive mode`);
}

/** By column of a unique key, the values that were written, as parameters of arrays. */
type Written = { readonly table: ApplyTable; readonly unique: Unique; readonly values: readonly unknown[] };

/**
 * What was written to tables that nobody checks, to be looked at before the commit: in between a transaction may give
 * two rows one value.
 */
export class DeferredUniques {
  readonly #session: Session;
  readonly #written: Written[] = [];
  readonly #rows = new Map<ApplyTable, Row[]>();

  constructor(session: Session) {
    this.#session = session;
  }

  addSet({ op, table, columns, parameters }: SetStatement): void {
    if (op === 'delete' || !isUnchecked(this.#session, table)) return;
    for (const unique of table.deferrable) {
      const places = unique.columns.map((c) => columns.indexOf(c));
      if (!places.includes(-1))
        this.#written.push({ table, unique, values: places.map((place) => parameters[place]) });
    }
  }

  addRow(table: ApplyTable, row: Row): void {
    if (!isUnchecked(this.#session, table)) return;
    const rows = this.#rows.get(table) ?? [];
    rows.push(row);
    this.#rows.set(table, rows);
  }

  /** True if a value that was written is there more than once now. */
  async areViolated(): Promise<boolean> {
    for (const [table, rows] of this.#rows)
      for (const unique of table.deferrable) {
        const sent = rows.filter((row) => unique.columns.every((c) => row[c] !== undefined));
        if (sent.length > 0)
          this.#written.push({ table, unique, values: unique.columns.map((c) => sent.map((row) => row[c])) });
      }
    this.#rows.clear();
    for (const { table, unique, values } of this.#written) {
      const { rows } = await this.#session.client.query<{ found: boolean }>(duplicateSql(table, unique), [
        ...values,
      ]);
      if (rows[0]!.found) return true;
    }
    return false;
  }
}

function duplicateSql(table: ApplyTable, { columns, nullsEqual }: Unique): string {
  const equal = nullsEqual ? 'is not distinct from' : '=';
  const type = (c: number) => table.types[c]!;
  const arrays = columns.map((c, i) => `$${i + 1}::${type(c).literal ? type(c).cast : 'text'}[]`);
  const names = columns.map((_, i) => `c${i}`);
  const values = columns.map((c, i) => `u.c${i}::${type(c).cast} as c${i}`);
  const join = columns.map((c, i) => `t.${columnList(table, [c])} ${equal} s.c${i}`);
  return /* sql */ `
    select exists (
      select from (select distinct ${values.join(', ')} from unnest(${arrays.join(', ')}) u(${names.join(', ')})) s
       where (select count(*) from (select from ${table.target} t where ${join.join(' and ')} limit 2) f) > 1) as found`;
}
