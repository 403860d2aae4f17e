import type pg from 'pg';
import { ownText, parseOwn } from '../../../shared/conflict/own-state.ts';
import { addXids } from '../../../shared/conflict/xid-ranges.ts';
import { PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import { ident } from '../../../shared/postgres/ident.ts';
import type { Queryable } from '../../../shared/postgres/rows.ts';
import { codeOf, isTransient, translate } from '../../../shared/postgres/sqlstate.ts';
import {
  type Direction,
  destinationOf,
  directions,
  opposite,
  type Side,
  taskIdOf,
} from '../../../shared/task/schema.ts';
import type { Pair } from '../../../shared/verify/compare.ts';
import { valuesOfKeys } from '../../../shared/verify/sql.ts';
import type { SideTable, TwinTable } from '../../../shared/verify/tables.ts';
import { type Clients, readText } from './reader.ts';

/** A key that is to be repaired, with the rows as they were last found; null: whatever they are. */
export type Repair = { readonly key: readonly string[]; readonly hashes: Pair | null };

/** `changed`: a row is no longer as it was found. A refusal says why the database does not take the row. */
export type Repaired = 'done' | 'changed' | { readonly refused: string };

export type RepairOptions = {
  readonly clients: Clients;
  readonly table: TwinTable;
  readonly pair: string;
  /** The side whose rows stay. */
  readonly winner: Side;
  /** The side that decides conflicts of this table; null: each side does for itself. */
  readonly arbiter: Side | null;
  readonly generations: Readonly<Record<Direction, number>>;
};

/**
 * Makes the rows with these keys the winner's, in one transaction of apply's kind on one side: the progress row of the
 * task that ends there is locked first, so that it stands between two of apply, and updated first, so that the other
 * capture drops the rows that are written.
 *
 * With an arbiter, it is a decision of the arbiter like any other: the arbiter takes the winner's rows, and the
 * outcome of every key is published. Whatever is written meanwhile, on either side, meets an open key or an unseen row
 * and goes the way of the protocol (shared/conflict/protocol.md). Without one, the loser takes the winner's rows;
 * only those that are still as they were found, for then nothing of the key is on its way.
 *
 * A crash before the commit leaves nothing, one after it a key that is found equal; doing it twice does no harm.
 */
export async function repairRows(options: RepairOptions, keys: readonly Repair[]): Promise<Repaired[]> {
  try {
    return await inOne(options, keys);
  } catch (error) {
    if (isTransient(error)) return keys.map(() => 'changed');
    if (!/^23/.test(codeOf(error))) throw translate(error);
    if (keys.length === 1) return [{ refused: refusalOf(error) }];
  }
  // One of them is refused: each by itself. Deletions first, since they make room.
  const results = new Map<Repair, Repaired>();
  const { winner } = options;
  const goes = (repair: Repair): number => (repair.hashes?.[winner] === null ? 0 : 1);
  for (const repair of [...keys].sort((one, other) => goes(one) - goes(other)))
    results.set(repair, (await repairRows(options, [repair]))[0]!);
  return keys.map((repair) => results.get(repair)!);
}

const refusalOf = (error: unknown): string =>
  `constraint ${(error as { constraint?: string }).constraint ?? 'unknown'} (SQLSTATE ${codeOf(error)})`;

async function inOne(options: RepairOptions, keys: readonly Repair[]): Promise<Repaired[]> {
  const { clients, winner, arbiter } = options;
  const here: Side = arbiter ?? (winner === 'a' ? 'b' : 'a');
  const client = clients[here];
  await client.query('begin');
  try {
    const result = await write(options, here, keys);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

type Found = { readonly hash: string; readonly values: readonly (string | null)[] };

async function write(options: RepairOptions, here: Side, keys: readonly Repair[]): Promise<Repaired[]> {
  const { clients, table, winner, arbiter } = options;
  const client = clients[here];
  const other: Side = here === 'a' ? 'b' : 'a';
  await client.query(/* sql */ `set local lock_timeout = '5s'`);
  await lockProgress(client, options, here);
  const list = keys.map(({ key }) => key);
  const rows = {
    [here]: await read(client, table[here], list, true),
    [other]: await read(clients[other], table[other], list, false),
  } as Record<Side, Map<number, Found>>;
  const isSame = (n: number): boolean => {
    const { hashes } = keys[n]!;
    const now = (side: Side) => rows[side].get(n)?.hash ?? null;
    return hashes === null || (now('a') === hashes.a && now('b') === hashes.b);
  };
  const taken = keys.map((_, n) => n).filter(isSame);
  if (winner !== here) {
    if (!table[here].deferrable) await asReplica(client);
    const plan = taken.map((n) => ({ n, from: rows[here].get(n), to: rows[winner].get(n) }));
    for (const { from } of plan.filter(({ to }) => !to))
      if (from) await deleteRow(client, table[here], from.values);
    for (const { from, to } of plan) if (to) await putRow(client, table[here], from?.values, to.values);
  }
  if (arbiter !== null) {
    const now = winner === here ? rows[here] : await read(client, table[here], list, true);
    const task = taskIdOf(options.pair, opposite(endingAt(here)));
    const to = { table: table[here], task, winner };
    for (const n of taken) await publish(client, to, list[n]!, now.get(n)?.values);
  }
  return keys.map((_, n) => (taken.includes(n) ? 'done' : 'changed'));
}

const endingAt = (side: Side): Direction =>
  directions.find((direction) => destinationOf(direction) === side)!;

const lockSql = /* sql */ `
  select shard, generation, own, pg_current_xact_id()::text as xid
    from pgtwin.apply_progress where task = $1 order by shard for update`;

/** As apply begins: locks and updates the progress rows, and notes this transaction's xid as one of apply's own. */
async function lockProgress(client: Queryable, options: RepairOptions, here: Side): Promise<void> {
  const direction = endingAt(here);
  const task = taskIdOf(options.pair, direction);
  const { rows } = await client.query(lockSql, [task]);
  const progress = rows as { shard: number; generation: bigint; own: string | null; xid: string }[];
  if (progress.length === 0 || progress.some((p) => Number(p.generation) !== options.generations[direction]))
    throw new PgtwinError('gap-not-healable', {
      detail: `Task ${task} has no progress row of this run on side ${here}.`,
    });
  for (const { shard, own, xid } of progress) {
    const known = parseOwn(own);
    await client.query(
      /* sql */ `update pgtwin.apply_progress set own = $3, applied_at = clock_timestamp()
                  where task = $1 and shard = $2`,
      [task, shard, ownText({ ...known, xids: addXids(known.xids, [BigInt(xid)]) })],
    );
  }
  await client.query(
    /* sql */ `insert into pgtwin.apply_xid (task, xid) values ($1, $2::int8) on conflict do nothing`,
    [task, progress[0]!.xid],
  );
}

/** Triggers and foreign keys of users are left to the side where the row was written, as apply does where it may. */
const asReplica = async (client: Queryable): Promise<void> => {
  await client.query(/* sql */ `
    select set_config('session_replication_role', 'replica', true)
     where has_parameter_privilege('session_replication_role', 'set')`);
};

async function read(
  client: pg.Client,
  table: SideTable,
  keys: readonly (readonly string[])[],
  lock: boolean,
): Promise<Map<number, Found>> {
  const rows = await readText(client, valuesOfKeys(table, keys, lock));
  return new Map(rows.map(([n, hash, ...values]) => [Number(n) - 1, { hash: hash!, values }]));
}

type Values = readonly (string | null)[];

const keyCondition = (table: SideTable, first: number): string =>
  table.key
    .map((index, n) => {
      const { name, type } = table.columns[index]!;
      return `t.${ident(name)} = $${first + n}::${type}`;
    })
    .join(' and ');
const keyOf = (table: SideTable, values: Values): (string | null)[] =>
  table.key.map((index) => values[index]!);

async function deleteRow(client: Queryable, table: SideTable, values: Values): Promise<void> {
  await client.query(
    /* sql */ `delete from ${table.from} t where ${keyCondition(table, 1)}`,
    keyOf(table, values),
  );
}

/** Writes the values over the row that is there, or inserts it. An identity that is always generated can't be set. */
async function putRow(
  client: Queryable,
  table: SideTable,
  from: Values | undefined,
  to: Values,
): Promise<void> {
  const fixed = table.columns.some((c, i) => c.always && from !== undefined && from[i] !== to[i]);
  if (from !== undefined && !fixed) {
    const columns = table.columns.flatMap((c, i) => (c.always ? [] : [i]));
    const set = columns.map(
      (i, n) => `${ident(table.columns[i]!.name)} = $${n + 1}::${table.columns[i]!.type}`,
    );
    if (set.length === 0) return;
    await client.query(
      /* sql */ `update ${table.from} t set ${set.join(', ')} where ${keyCondition(table, columns.length + 1)}`,
      [...columns.map((i) => to[i]!), ...keyOf(table, from)],
    );
    return;
  }
  if (from !== undefined) await deleteRow(client, table, from);
  const names = table.columns.map(({ name }) => ident(name)).join(', ');
  const values = table.columns.map(({ type }, n) => `$${n + 1}::${type}`).join(', ');
  await client.query(
    /* sql */ `insert into ${table.sql} (${names}) overriding system value values (${values})`,
    [...to],
  );
}

// One row per key, as apply keeps it: the newest. The version that won is one of the winner, of now.
const outcomeSql = /* sql */ `
  with former as (delete from pgtwin.outcome where task = $1 and relation = $2 and key = $3)
  insert into pgtwin.outcome (task, relation, key, row_text, column_names, version_time, version_side)
  values ($1, $2, $3, $4, $5, (extract(epoch from clock_timestamp()) * 1000000)::int8, $6)`;

/** The outcome of a key, as it is here now and locked, for the other side. */
async function publish(
  client: Queryable,
  { table, task, winner }: { readonly table: SideTable; readonly task: string; readonly winner: Side },
  key: readonly string[],
  row: Values | undefined,
): Promise<void> {
  await client.query(outcomeSql, [
    task,
    table.sql,
    row ? keyOf(table, row) : [...key],
    row ? [...row] : null,
    table.columns.map(({ name }) => name),
    winner,
  ]);
}
