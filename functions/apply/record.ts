import type { Row, Side } from '../../shared/conflict/rows.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { textArray } from '../../shared/postgres/text-array.ts';
import type {
  AnswerWrite,
  ControlBook,
  ControlWrite,
  OutcomeWrite,
  PullChange,
  PullWrite,
} from './control-book.ts';
import { type LockedRow, lockRow, lockRows } from './rows.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';

/**
 * Control rows, after the user's rows and without their origin, so that they go out in this side's stream. They carry
 * the id of the task whose source this side is. Outcomes and answers hold the row as it is now, locked. Those of one
 * kind that stand together are one statement; the stream has them in the order of the steps.
 */
export async function writeControls(
  session: Session,
  opposite: string,
  here: Side,
  { writes, pullChanges }: ControlBook,
): Promise<void> {
  await changePulls(session, opposite, 'close', closeSql, pullChanges);
  await changePulls(session, opposite, 'skipped', skippedSql, pullChanges);
  for (let from = 0; from < writes.length; ) {
    const kind = writes[from]!.do;
    let to = from + 1;
    while (to < writes.length && writes[to]!.do === kind && to - from < MOST) to++;
    await writeKind(session, opposite, here, writes.slice(from, to));
    from = to;
  }
}

/** Control rows of one statement. */
const MOST = 5_000;

async function writeKind(
  session: Session,
  opposite: string,
  here: Side,
  writes: readonly ControlWrite[],
): Promise<void> {
  const { client } = session;
  const relations = writes.map(({ table }) => table.sql);
  const keys = writes.map(({ key }) => textArray(key));
  if (writes[0]!.do === 'pull') {
    const pulls = writes as readonly PullWrite[];
    const met = pulls.map((each) => textArray(each.met));
    await client.query(pullSql, [opposite, relations, keys, met, pulls.map(({ skipped }) => skipped)]);
    return;
  }
  const shown = writes as readonly (OutcomeWrite | AnswerWrite)[];
  const rows = await rowsNow(session, shown);
  const versions = shown.map((each, n) => (each.do === 'outcome' ? each.version : versionOf(rows[n], here)));
  await client.query(writes[0]!.do === 'outcome' ? outcomeSql : answerSql, [
    opposite,
    relations,
    keys,
    rows.map((row) => rowText(row?.values)),
    shown.map((each) => each.pull ?? null),
    versions.map((version) => version?.time?.toString() ?? null),
    versions.map((version) => version?.side ?? null),
    writes.map(({ table }) => columnsText(table)),
  ]);
}

// The rows of arrays come as the text of an array each: unnest would take a two-dimensional array apart to the last value.
const closeSql = /* sql */ `
  delete from pgtwin.pull p using unnest($2::text[], $3::text[]) k(relation, key)
   where p.task = $1 and p.relation = k.relation and p.key = k.key::text[]`;
const skippedSql = /* sql */ `
  update pgtwin.pull p set skipped = true from unnest($2::text[], $3::text[]) k(relation, key)
   where p.task = $1 and p.relation = k.relation and p.key = k.key::text[]`;
const pullSql = /* sql */ `
  insert into pgtwin.pull (task, relation, key, met, skipped)
  select $1, relation, key::text[], met::text[], skipped
    from unnest($2::text[], $3::text[], $4::text[], $5::bool[]) with ordinality
         c(relation, key, met, skipped, n) order by n`;
const versionsSql = (table: 'outcome' | 'answer'): string => /* sql */ `
  insert into pgtwin.${table} (task, relation, key, row_text, pull_id, version_time, version_side, column_names)
  select $1, relation, key::text[], row_text::text[], pull_id, version_time, version_side, column_names::text[]
    from unnest($2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::text[], $8::text[]) with ordinality
         c(relation, key, row_text, pull_id, version_time, version_side, column_names, n) order by n`;
// Of a key the newest outcome is kept: whoever has seen it has seen the others. So what is read by every batch grows
// with the keys in conflict, not with the conflicts, however far the reverse task lags behind.
const outcomeSql = /* sql */ `
  with former as (
    delete from pgtwin.outcome o using unnest($2::text[], $3::text[]) k(relation, key)
     where o.task = $1 and o.relation = k.relation and o.key = k.key::text[])
  ${versionsSql('outcome')}`;
const answerSql = versionsSql('answer');

async function changePulls(
  { client }: Session,
  opposite: string,
  kind: PullChange['do'],
  sql: string,
  changes: readonly PullChange[],
): Promise<void> {
  const those = changes.filter((change) => change.do === kind);
  if (those.length === 0) return;
  await client.query(sql, [
    opposite,
    those.map(({ table }) => table.sql),
    those.map(({ key }) => textArray(key)),
  ]);
}

/** The rows as they are now, locked. */
async function rowsNow(
  session: Session,
  writes: readonly (OutcomeWrite | AnswerWrite)[],
): Promise<(LockedRow | undefined)[]> {
  const found: (LockedRow | undefined)[] = writes.map(() => undefined);
  const byTable = new Map<ApplyTable, number[]>();
  for (const [n, { table }] of writes.entries()) {
    const list = byTable.get(table);
    if (list) list.push(n);
    else byTable.set(table, [n]);
  }
  for (const [table, list] of byTable) {
    const keys = list.map((n) => writes[n]!.key);
    const rows =
      keys.length === 1
        ? [await lockRow(session, table, table.key, keys[0]!)]
        : await lockRows(session, table, keys);
    for (const [i, n] of list.entries()) found[n] = rows[i];
  }
  return found;
}

/** Of an answer: the commit time where it is known. */
const versionOf = (row: LockedRow | undefined, here: Side) =>
  row?.time == null ? undefined : { time: row.time, side: here };

const rowText = (row: Row | undefined): string | null =>
  row === undefined ? null : textArray(row.map((value) => value ?? null));

const namesOf = new WeakMap<ApplyTable, string>();
function columnsText(table: ApplyTable): string {
  const text = namesOf.get(table) ?? textArray(table.columns);
  namesOf.set(table, text);
  return text;
}

const CLEAN_EVERY_MS = 2_000;
const cleanedAt = new WeakMap<Session, number>();

/** True now and then: the first time in a session, and after some seconds. */
export function cleaningIsDue(session: Session, now: number): boolean {
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
