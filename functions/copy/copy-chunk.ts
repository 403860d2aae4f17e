import { pipeline } from 'node:stream/promises';
import { rewriteCopyText } from '../../shared/copy/copy-text.ts';
import { claimChunk, noteLanePaid, noteRows, readLaneIdle } from '../../shared/copy/ledger.ts';
import {
  type CopyItem,
  type CopyMessage,
  chunkNumber,
  laneOrigin,
  relationOf,
} from '../../shared/copy/work.ts';
import type { EtlPlan } from '../../shared/etl/plan.ts';
import { ident, literal, qualified } from '../../shared/postgres/ident.ts';
import { conditionSql } from '../../shared/task/condition-sql.ts';
import { copyIn } from './copy-in.ts';
import { CopyOut, rowsIn } from './copy-out.ts';
import { type CopyPace, pacedStream } from './paced.ts';
import type { CopySession } from './session.ts';

const TEMPORARY = qualified('pg_temp', 'pgtwin_copy');
/** Rows go through in pieces of this size: memory does not grow with the chunk. */
const BUFFER_BYTES = 256 * 1024;

/** What changes rows on their way, how fast they may go, and when to stop. */
export type CopyHow = {
  readonly etl?: EtlPlan | undefined;
  readonly pace: CopyPace;
  readonly signal: AbortSignal;
};

/**
 * Copies one chunk in one transaction on each side, rows as bytes and never all in memory. False, and nothing
 * written, if it is done already or its attempt is over. `etl` is what is done to its rows. After an error the session must be destroyed.
 */
export async function copyChunk(
  session: CopySession,
  message: CopyMessage,
  item: CopyItem,
  how: CopyHow,
): Promise<boolean> {
  const { pace, signal } = how;
  const { source, destination } = session;
  const { task, generation, attempt } = message;
  const chunk = {
    task,
    generation,
    relation: relationOf(item.table),
    chunk: chunkNumber(attempt, item.chunk),
  };
  await destination.query('begin');
  // The chunk's row comes before the origin is set, so that the other capture sees it.
  // The lane is this chunk's: its time begins. Between two chunks, often of two workers, nothing of it is lost.
  const begin = async (lane: number) =>
    pace.begin(pace.isLimited ? await readLaneIdle(destination, { task, generation, lane }) : undefined);
  const wanted = { ...chunk, attempt, lane: message.lane, lanes: message.lanes };
  const lane = await claimChunk(destination, wanted, begin);
  if (lane === undefined) {
    await destination.query('rollback');
    return false;
  }
  pace.spend({ queries: 1 });
  await source.query(
    /* sql */ `begin isolation level repeatable read read only; set transaction snapshot ${literal(message.snapshot)}`,
  );
  const marked = session.origins && (await setOrigin(session, laneOrigin(task, lane)));
  const rows = await transfer(session, item, how);
  // An origin marks the rows only; the session keeps it beyond the transaction otherwise.
  if (marked) await destination.query(/* sql */ `select pg_replication_origin_session_reset()`);
  await noteRows(destination, { ...chunk, rows });
  // Before the commit, which lets the lane's next chunk begin, perhaps elsewhere: it shall not owe what this one took.
  await pace.settle(signal);
  signal.throwIfAborted();
  const unused = pace.isLimited ? pace.unusedMs : undefined;
  if (unused !== undefined) await noteLanePaid(destination, { task, generation, lane }, unused);
  await destination.query('commit');
  await source.query('rollback');
  return true;
}

/** Without an origin the copy is as right, the other capture only has more rows to drop. */
async function setOrigin({ destination }: CopySession, name: string): Promise<boolean> {
  // Nothing is written in the savepoint, so it gets no transaction id of its own.
  await destination.query('savepoint pgtwin_origin');
  try {
    await destination.query(/* sql */ `select pg_replication_origin_session_setup($1)`, [name]);
    await destination.query('release pgtwin_origin');
    return true;
  } catch {
    // In use by another backend, not there, or more origins than the server has room for.
    await destination.query('rollback to pgtwin_origin; release pgtwin_origin');
    return false;
  }
}

async function transfer(
  session: CopySession,
  item: CopyItem,
  { etl, pace, signal }: CopyHow,
): Promise<number> {
  const { source, destination } = session;
  const table = qualified(item.table.schema, item.table.name);
  const columns = (item.into ?? item.columns).map(ident).join(', ');
  const into = item.merge ? TEMPORARY : `${table} (${columns})`;
  if (item.merge)
    await destination.query(
      /* sql */ `create temporary table pgtwin_copy on commit drop as select ${columns} from ${table} with no data`,
    );
  const format = /* sql */ `(format ${item.format})`;
  const reader = source.query(
    new CopyOut(/* sql */ `copy (${selectRange(item)}) to stdout ${format}`, BUFFER_BYTES),
  );
  const writer = destination.query(copyIn(/* sql */ `copy ${into} from stdin ${format}`, BUFFER_BYTES));
  const stages = [pacedStream(pace, rowsIn, signal), ...(etl ? [rewriteCopyText(etl.run)] : [])];
  await pipeline([reader, ...stages, writer], { signal });
  if (item.merge) {
    const target = item.key ? ` (${item.key.map(ident).join(', ')})` : '';
    await destination.query(
      /* sql */ `insert into ${table} (${columns}) overriding system value
                 select ${columns} from ${TEMPORARY} on conflict${target} do nothing`,
    );
  }
  return writer.rowCount;
}

/** The rows of a block range (a TID range scan); the last range of a heap is open. */
export function selectRange({ heap, from, to, columns, where: condition }: CopyItem): string {
  const conditions = [
    ...(from > 0 ? [`ctid >= '(${from},0)'`] : []),
    ...(to === null ? [] : [`ctid < '(${to},0)'`]),
    ...(condition === undefined ? [] : [conditionSql(condition)]),
  ];
  const where = conditions.length > 0 ? ` where ${conditions.join(' and ')}` : '';
  return /* sql */ `select ${columns.map(ident).join(', ')} from only ${qualified(heap.schema, heap.name)}${where}`;
}
