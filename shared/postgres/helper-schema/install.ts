import type { Queryable } from '../connect.ts';
import { initial } from './0001-initial.ts';
import { conflicts } from './0002-conflicts.ts';

/** In order; each runs once per database, in the transaction that raises the version. */
const migrations: readonly string[] = [initial, conflicts];

/** Any fixed number: installers of one database wait for each other. */
const INSTALL_LOCK = 7_077_001;

/**
 * Makes or upgrades schema `pgtwin` on a database and registers the task as its user. Safe to repeat and to run from
 * several processes at once. Everything is taken away from PUBLIC: control rows count only if the account wrote them.
 */
export async function installHelperSchema(
  client: Queryable,
  task: string,
  role: 'source' | 'destination',
): Promise<void> {
  await client.query('begin');
  try {
    await client.query(/* sql */ `select pg_advisory_xact_lock(${INSTALL_LOCK})`);
    const { rows } = await client.query<{ there: string | null }>(
      /* sql */ `select to_regclass('pgtwin.version')::text as there`,
    );
    if (rows[0]?.there === null) {
      await client.query(/* sql */ `create schema if not exists pgtwin`);
      await client.query(/* sql */ `revoke all on schema pgtwin from public`);
      await client.query(/* sql */ `create table pgtwin.version (version int not null)`);
      await client.query(/* sql */ `insert into pgtwin.version values (0)`);
    }
    const stored = await client.query<{ version: number }>(/* sql */ `select version from pgtwin.version`);
    const version = stored.rows[0]?.version ?? 0;
    for (const migration of migrations.slice(version)) await client.query(migration);
    if (version < migrations.length)
      await client.query(/* sql */ `update pgtwin.version set version = $1`, [migrations.length]);
    await client.query(
      /* sql */ `insert into pgtwin.task (task, role) values ($1, $2) on conflict do nothing`,
      [task, role],
    );
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

/** Forgets the task on this database; drops schema `pgtwin` when no other task uses it. */
export async function removeHelperSchema(client: Queryable, task: string): Promise<void> {
  await client.query('begin');
  try {
    await client.query(/* sql */ `select pg_advisory_xact_lock(${INSTALL_LOCK})`);
    const { rows } = await client.query<{ there: string | null }>(
      /* sql */ `select to_regclass('pgtwin.task')::text as there`,
    );
    if (rows[0]?.there) {
      for (const table of [
        'task',
        'apply_progress',
        'apply_xid',
        'heartbeat',
        'pull',
        'answer',
        'outcome',
        'copy_chunk',
        'conflict',
        'conflict_count',
        'tombstone',
      ])
        await client.query(/* sql */ `delete from pgtwin.${table} where task = $1`, [task]);
      const left = await client.query(/* sql */ `select from pgtwin.task limit 1`);
      if (left.rowCount === 0) await client.query(/* sql */ `drop schema pgtwin cascade`);
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}
