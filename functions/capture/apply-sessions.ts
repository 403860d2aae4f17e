import type pg from 'pg';
import { codeOf, sqlstate } from '../../shared/postgres/sqlstate.ts';

/** How long what writes for a task at its destination may take to end by itself. */
export const SESSIONS_END_MS = 30_000;
const POLL_MS = 50;
/** A server process that was told to end does so within that time. */
const ENDED_MS = 5_000;

const applicationsOf = (task: string): string[] => [`pgtwin apply ${task}`, `pgtwin ${task} copy`];

// Another role's sessions show no state, and are not ours to end.
const busySql = /* sql */ `
  select pid from pg_catalog.pg_stat_activity
   where application_name = any($1) and datname = current_database() and usename = current_user
     and pid <> pg_backend_pid() and state is distinct from 'idle'`;
const endSql = /* sql */ `select pg_terminate_backend(pid) from (${busySql}) busy`;

const pause = (): Promise<void> => new Promise((resume) => setTimeout(resume, POLL_MS));

/**
 * Waits until no session of apply or copy is at work for the task, so that what it needs is not dropped under it. Those
 * that still are after `patienceMs` are ended: their process may be gone, and what they have not committed would be
 * dropped with the task anyway.
 */
export async function awaitSessions(client: pg.Client, task: string, patienceMs: number): Promise<void> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const { rows } = await client.query(busySql, [applicationsOf(task)]);
    if (rows.length === 0) return;
    if (performance.now() >= until) break;
    await pause();
  }
  await client.query(endSql, [applicationsOf(task)]);
}

/**
 * Does what fails while one of the task's sessions uses an origin: a batch that was on its way may have begun another
 * transaction. Waits for it, then ends it. Throws what it throws if another's session uses it.
 */
export async function whenNotInUse(
  client: pg.Client,
  task: string,
  patienceMs: number,
  work: () => Promise<void>,
): Promise<void> {
  const began = performance.now();
  let ended = false;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const waited = performance.now() - began;
      if (codeOf(error) !== sqlstate.objectInUse || waited > patienceMs + ENDED_MS) throw error;
      if (waited >= patienceMs && !ended) {
        await client.query(endSql, [applicationsOf(task)]);
        ended = true;
      }
      await pause();
    }
  }
}
