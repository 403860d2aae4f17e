import type { Side } from '../../shared/conflict/rows.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { type AnswerWrite, type ControlWrite, type OutcomeWrite, rowParameter } from './exact.ts';
import { lockRow } from './rows.ts';
import type { Session } from './session.ts';

/**
 * Control rows, after the user's rows and without their origin, so that they go out in this side's stream. They carry
 * the id of the task whose source this side is. Outcomes and answers hold the row as it is now, locked.
 */
export async function writeControls(
  session: Session,
  opposite: string,
  here: Side,
  controls: readonly ControlWrite[],
): Promise<void> {
  const { client } = session;
  for (const c of controls) {
    const relation = c.table.sql;
    const key = [...c.key];
    switch (c.do) {
      case 'close':
        await client.query(closeSql, [opposite, relation, key]);
        break;
      case 'skipped':
        await client.query(skippedSql, [opposite, relation, key]);
        break;
      case 'pull':
        await client.query(pullSql, [opposite, relation, key, [...c.met]]);
        break;
      case 'answer':
        await client.query(answerSql, [
          opposite,
          c.pull,
          relation,
          key,
          ...(await versionNow(session, c, here)),
          [...c.table.columns],
        ]);
        break;
      case 'outcome': {
        const { time, side } = c.version ?? { time: null, side: null };
        const row = await rowNow(session, c);
        await client.query(outcomeSql, [
          opposite,
          relation,
          key,
          row,
          c.pull ?? null,
          time?.toString() ?? null,
          side,
          [...c.table.columns],
        ]);
      }
    }
  }
}

const closeSql = /* sql */ `delete from pgtwin.pull where task = $1 and relation = $2 and key = $3`;
const skippedSql = /* sql */ `
  update pgtwin.pull set skipped = true where task = $1 and relation = $2 and key = $3`;
const pullSql = /* sql */ `insert into pgtwin.pull (task, relation, key, met) values ($1, $2, $3, $4)`;
const answerSql = /* sql */ `
  insert into pgtwin.answer (task, pull_id, relation, key, row_text, version_time, version_side, column_names)
  values ($1, $2, $3, $4, $5, $6, $7, $8)`;
const outcomeSql = /* sql */ `
  insert into pgtwin.outcome (task, relation, key, row_text, pull_id, version_time, version_side, column_names)
  values ($1, $2, $3, $4, $5, $6, $7, $8)`;

/** The row with its commit time where it is known. */
async function versionNow(session: Session, { table, key }: AnswerWrite, here: Side) {
  const row = await lockRow(session, table, table.key, key);
  const time = row?.time ?? null;
  return [rowParameter(row?.values ?? null), time?.toString() ?? null, time === null ? null : here];
}

const rowNow = async (session: Session, { table, key }: OutcomeWrite) =>
  rowParameter((await lockRow(session, table, table.key, key))?.values ?? null);

const CLEAN_EVERY_MS = 5_000;
const cleanedAt = new WeakMap<Session, number>();

/** True now and then: the first time in a session, and after some seconds. */
export function answersAreDue(session: Session, now: number): boolean {
  if (now - (cleanedAt.get(session) ?? Number.NEGATIVE_INFINITY) < CLEAN_EVERY_MS) return false;
  cleanedAt.set(session, now);
  return true;
}

/**
 * Forgets control rows that the other side has seen. Their publication has inserts only: cleaning sends nothing. A
 * follower's pulls are not among them: they stay until they are answered, whoever has seen them.
 */
export const cleanControls = async (
  client: Queryable,
  opposite: string,
  floor: bigint,
  arbiter: boolean,
): Promise<void> => {
  for (const table of arbiter ? ['outcome', 'pull'] : ['answer'])
    await client.query(
      /* sql */ `delete from pgtwin.${table} where task = $1 and xid::numeric < $2::numeric`,
      [opposite, floor.toString()],
    );
};
