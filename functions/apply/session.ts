import type pg from 'pg';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { connect, disconnect, type Target } from '../../shared/postgres/connect.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import { originName } from '../../shared/postgres/names.ts';
import type { Relation } from '../../shared/postgres/pgoutput.ts';
import type { TaskObjects } from './objects.ts';
import { OwnXids } from './own-xids.ts';
import { Sent } from './sent.ts';
import { type ApplyTable, readApplyTable, readRelationHere } from './tables.ts';

/** A connection to a destination with what was learned of it; kept between invocations of one process. */
export type Session = {
  readonly client: pg.Client;
  readonly task: string;
  readonly shard: number;
  /** May set session_replication_role: triggers and foreign keys are then left to the source. */
  readonly replica: boolean;
  /** The origin that marks the user's rows, or undefined where the account may not, or there is none. */
  readonly origin: string | undefined;
  /** True where commit times can be read. */
  readonly commitTimes: boolean;
  readonly ownXids: OwnXids;
  /** What is on its way to the server. Statements are sent without waiting for the answers to those before. */
  readonly sent: Sent;
  /** For what is no plain statement: waits for the answers to all, and sends nothing else meanwhile. */
  alone<T>(work: (client: pg.Client) => Promise<T>): Promise<T>;
  /** The table of a relation, read once per definition. */
  table(relation: Relation): Promise<ApplyTable>;
  /**
   * A table of the task by its quoted name at the source, whatever its relation in the stream; undefined if it is not
   * one.
   */
  tableNamed(name: string): Promise<ApplyTable | undefined>;
  /** Forgets table definitions: the destination's may have changed. */
  forgetTables(): void;
  /** The same where this is another text than last time: it changes when indexes and foreign keys have been made. */
  definedAs(definition: string | null): void;
  /** True once the connection is gone: a restarted server closes those that are idle, too. */
  isClosed(): boolean;
  close(): Promise<void>;
};

const settings = {
  // Plans that stay right while tables grow, without statistics and without planning anew: by index, row by row.
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  enable_bitmapscan: 'off',
  jit: 'off',
  // The rows of a statement are held and sorted there without temporary files.
  work_mem: '64MB',
  lock_timeout: '20000',
  statement_timeout: '600000',
  idle_in_transaction_session_timeout: '120000',
};

const abilitiesSql = /* sql */ `
  select has_parameter_privilege('session_replication_role', 'set') as replica,
         current_setting('track_commit_timestamp') as commit_times,
         has_function_privilege('pg_catalog.pg_replication_origin_session_setup(text)', 'execute')
           and has_function_privilege('pg_catalog.pg_replication_origin_session_reset()', 'execute')
           and exists (select from pg_catalog.pg_replication_origin where roname = $1) as origins`;

/** Opens a session; errors are translated. `objects` tells of the task's tables. */
export async function openSession(options: {
  readonly target: Target;
  readonly task: string;
  readonly shard: number;
  readonly synchronousCommit: boolean;
  readonly objects: () => TaskObjects;
}): Promise<Session> {
  const { target, task, shard } = options;
  const client = await connect(target, {
    application: `pgtwin apply ${task}`,
    // Off is safe: a slot is confirmed by what the destination has flushed, not by what it has committed.
    settings: { ...settings, synchronous_commit: options.synchronousCommit ? 'on' : 'off' },
  });
  const origin = originName(task, shard);
  const { rows } = await client.query<{ replica: boolean; commit_times: string; origins: boolean }>(
    abilitiesSql,
    [origin],
  );
  const abilities = rows[0]!;
  if (abilities.replica) await client.query(/* sql */ `set session_replication_role = replica`);
  const pipelined = client as pg.Client & { pipeline: boolean };
  pipelined.pipeline = true;
  const sent = new Sent();
  let closed = false;
  client.once('end', () => {
    closed = true;
  });
  let defined: string | null = null;
  const tables = new Map<string, ApplyTable>();
  const named = new Map<string, ApplyTable>();
  let byRelation = new WeakMap<Relation, ApplyTable>();
  const forgetTables = (): void => {
    tables.clear();
    named.clear();
    byRelation = new WeakMap();
  };
  return {
    client,
    task,
    shard,
    replica: abilities.replica,
    origin: abilities.origins ? origin : undefined,
    commitTimes: abilities.commit_times === 'on',
    ownXids: new OwnXids(task),
    sent,
    async alone(work) {
      await sent.all();
      pipelined.pipeline = false;
      try {
        return await work(client);
      } finally {
        pipelined.pipeline = true;
      }
    },
    async table(relation) {
      const known = byRelation.get(relation);
      if (known) return known;
      const id = JSON.stringify([relation.schema, relation.name, relation.columns.map((c) => c.name)]);
      let table = tables.get(id);
      if (!table) {
        const objects = options.objects();
        const key = objects.keyOf(relation) ?? relation.columns.filter((c) => c.inKey).map((c) => c.name);
        if (key.length === 0)
          throw new PgtwinError('schema-not-supported', {
            detail: `Table ${relation.schema}.${relation.name} has no replica identity.`,
          });
        table = await readApplyTable(client, relation, key, objects);
        tables.set(id, table);
      }
      byRelation.set(relation, table);
      return table;
    },
    async tableNamed(name) {
      const known =
        [...tables.values()].findLast((t) => qualified(t.source.schema, t.source.name) === name) ??
        named.get(name);
      if (known) return known;
      const objects = options.objects();
      const prepared = objects.named(name);
      const relation = prepared && (await readRelationHere(client, prepared, objects));
      if (!prepared || !relation) return undefined;
      const table = await readApplyTable(client, relation, prepared.key, objects);
      named.set(name, table);
      return table;
    },
    forgetTables,
    definedAs(definition) {
      if (defined === definition) return;
      defined = definition;
      forgetTables();
    },
    isClosed: () => closed,
    close: () => disconnect(client),
  };
}
