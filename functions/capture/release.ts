import type pg from 'pg';
import { asPgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { type Target, withClient } from '../../shared/postgres/connect.ts';
import { removeHelperSchema } from '../../shared/postgres/helper-schema/install.ts';
import { ident, literal } from '../../shared/postgres/ident.ts';
import {
  controlPublicationName,
  originName,
  publicationName,
  slotName,
} from '../../shared/postgres/names.ts';
import { codeOf, isTransient, sqlstate, translate } from '../../shared/postgres/sqlstate.ts';
import type { BlobStore, Delivery } from '../../shared/task/ports.ts';
import { removeAll } from '../../shared/task/prepared.ts';
import {
  destinationOf,
  directionOfTask,
  type Side,
  sourceOf,
  type TaskError,
} from '../../shared/task/schema.ts';
import type { Table } from '../../shared/task/table.ts';
import { awaitSessions, SESSIONS_END_MS, whenNotInUse } from './apply-sessions.ts';
import { dropDeletionTriggers, dropTriggersByHand } from './deletion-triggers.ts';
import { dropSlot } from './slot.ts';

/** What could not be removed, and how a person does it. */
export type Leftover = {
  readonly side: Side | 'platform';
  readonly what: string;
  /** To be run in that database; null where there is none. */
  readonly sql: string | null;
  readonly reason: string;
};

/** What a released task says of them; undefined if nothing was left. */
export function leftoversError(left: readonly Leftover[], now: Date): TaskError | undefined {
  if (left.length === 0) return undefined;
  const lines = left.map(
    ({ what, side, reason, sql }) => `${what} on ${side}: ${reason}${sql ? `; by hand: ${sql}` : ''}`,
  );
  const advice = 'Run the SQL by hand.';
  return { code: 'released-with-leftovers', detail: lines.join('\n'), advice, at: now.toISOString() };
}

/** One thing in a database: how it is removed here, and by hand. */
type Step = {
  readonly what: string;
  readonly sql: string;
  readonly drop: (client: pg.Client) => Promise<unknown>;
};

const plainStep = (what: string, sql: string): Step => ({ what, sql, drop: (client) => client.query(sql) });

const removeRows = (task: string): string =>
  [
    `delete from pgtwin.task where task = ${literal(task)}`,
    'drop schema pgtwin cascade -- only if pgtwin.task is empty then',
  ].join('; ');

const helperStep = (task: string): Step => ({
  what: `the task's rows in schema pgtwin`,
  sql: removeRows(task),
  drop: (client) => removeHelperSchema(client, task),
});

const sourceSteps = (task: string): Step[] => {
  const slot = slotName(task);
  return [
    {
      what: `slot ${slot}`,
      sql: `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${literal(slot)} and active_pid is not null; select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = ${literal(slot)}`,
      drop: (client) => dropSlot(client, slot),
    },
    ...[publicationName(task), controlPublicationName(task)].map((name) =>
      plainStep(`publication ${name}`, `drop publication if exists ${ident(name)}`),
    ),
    helperStep(task),
  ];
};

/** All shards and copy lanes. Task ids are of [a-z0-9_], so nothing in the pattern is special. */
const originPattern = (task: string): string => literal(`^${originName(task, 0).slice(0, -1)}[0-9]+$`);

const originsSql = (task: string): string =>
  `select pg_replication_origin_drop(roname) from pg_replication_origin where roname ~ ${originPattern(task)}`;

/** An account that may not drop origins could not make any: only those that are there are of interest then. */
async function dropOrigins(client: pg.Client, task: string, patienceMs: number): Promise<void> {
  const { rows } = await client.query(
    `select from pg_replication_origin where roname ~ ${originPattern(task)}`,
  );
  if (rows.length === 0) return;
  await whenNotInUse(client, task, patienceMs, async () => {
    await client.query(originsSql(task));
  });
}

const destinationSteps = (task: string, patienceMs: number): Step[] => [
  {
    what: 'triggers that note deletions',
    sql: dropTriggersByHand(task),
    async drop(client) {
      await awaitSessions(client, task, patienceMs);
      await dropDeletionTriggers(client, task);
    },
  },
  {
    what: 'replication origins',
    sql: originsSql(task),
    drop: (client) => dropOrigins(client, task, patienceMs),
  },
  helperStep(task),
];

/**
 * Removes everything a task made: in both databases, in the queue, the bucket and the table. Goes on past what can
 * not be removed and gives it back with the SQL for a person. Safe to repeat. Configuration, events, status and lease
 * stay in the table: they tell what was; they go with the pair.
 */
export async function releaseTask(options: {
  readonly task: string;
  /** Gives the target, or throws as when its secret is gone. */
  readonly source: () => Promise<Target>;
  readonly destination: () => Promise<Target>;
  readonly table: Table;
  readonly blobs: BlobStore;
  readonly blobPrefix: string;
  readonly delivery: Delivery;
  readonly log: Log;
  /** How long the task's sessions at the destination may take to end. */
  readonly patienceMs?: number;
}): Promise<Leftover[]> {
  const { task, table, log, patienceMs = SESSIONS_END_MS } = options;
  const direction = directionOfTask(task);
  const left: Leftover[] = [];
  // The queue first: apply must not meet a destination without its helper schema.
  const platform = async (what: string, remove: () => Promise<void>): Promise<void> => {
    try {
      await remove();
    } catch (error) {
      left.push({ side: 'platform', what, sql: null, reason: asPgtwinError(error).message });
    }
  };
  await platform('queues and event source mapping', () => options.delivery.remove(task));
  await platform('parts of large transactions', () => options.blobs.removeAll(options.blobPrefix));
  left.push(...(await dropOn(sourceOf(direction), options.source, task, sourceSteps(task))));
  left.push(
    ...(await dropOn(
      destinationOf(direction),
      options.destination,
      task,
      destinationSteps(task, patienceMs),
    )),
  );
  await platform('items of the table', async () => {
    for (const prefix of ['prepared', 'table#', 'chunk#', 'checkpoint']) await removeAll(table, task, prefix);
  });
  for (const { side, what, reason } of left) log.warn('not released', { task, side, what, reason });
  log.info('released', { task, leftovers: left.length });
  return left;
}

const TRIES = 5;

/**
 * The opposite task is often released at the same moment: what one drops the other may just be looking at, which
 * PostgreSQL answers with a deadlock, or with an internal error ("cache lookup failed for publication").
 */
async function dropPatiently(client: pg.Client, drop: Step['drop']): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await drop(client);
      return;
    } catch (error) {
      if (tries === TRIES || !(isTransient(error) || codeOf(error) === sqlstate.internalError)) throw error;
    }
  }
}

async function dropOn(
  side: Side,
  target: () => Promise<Target>,
  task: string,
  steps: readonly Step[],
): Promise<Leftover[]> {
  const left: Leftover[] = [];
  try {
    const settings = { statement_timeout: '60000', lock_timeout: '20000' };
    await withClient(await target(), { application: `pgtwin ${task} release`, settings }, async (client) => {
      for (const { what, sql, drop } of steps) {
        try {
          await dropPatiently(client, drop);
        } catch (error) {
          left.push({ side, what, sql, reason: translate(error).message });
        }
      }
    });
    return left;
  } catch (error) {
    const reason = asPgtwinError(error).message;
    return steps.map(({ what, sql }) => ({ side, what, sql, reason }));
  }
}
