import { collidingSql, type SetStatement } from './plan.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';

/*
 * PostgreSQL checks a deferrable unique constraint by a trigger of its own, and session_replication_role = replica
 * switches that off like any other: two rows could get one unique value. Where nothing else hangs on the table, its
 * statements run under role `origin`, and the constraint is checked as always. Where triggers or foreign keys must not
 * fire, the table is locked against other writers for the rest of the transaction, and we look ourselves.
 */

/** Runs a statement that writes rows of a table, so that its deferrable constraints are checked. */
export async function withConstraints<T>(
  session: Session,
  table: ApplyTable,
  work: () => Promise<T>,
): Promise<T> {
  if (!session.replica || !table.deferrableUnique || table.hasTriggers) return work();
  await session.client.query(/* sql */ `set local session_replication_role = origin`);
  // After a failure nothing more is taken, and ROLLBACK sets the role back.
  const result = await work();
  await session.client.query(/* sql */ `set local session_replication_role = replica`);
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

/** Whether set-based statements have given two rows one unique value. */
export async function haveCollided(
  session: Session,
  table: ApplyTable,
  statements: readonly SetStatement[],
): Promise<boolean> {
  if (!isUnchecked(session, table)) return false;
  for (const s of statements)
    for (const unique of s.op === 'delete' ? [] : table.uniques.filter((u) => !table.special.has(u))) {
      const { rows } = await session.client.query(collidingSql(s, unique), [...s.parameters]);
      if (rows.length > 0) return true;
    }
  return false;
}
