import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { Queryable } from '../postgres/connect.ts';
import { codeOf, sqlstate } from '../postgres/sqlstate.ts';
import { CHUNKS_PER_ATTEMPT } from './work.ts';

/**
 * What has been copied stands in `pgtwin.copy_chunk` of the destination, because only there it commits with the rows:
 * a chunk is done exactly if its row is there. Chunk numbers from 0 on are chunks; besides, a table has a row FINISHED
 * once all its chunks are done and its primary key is built, and relation '' has a row for each attempt, and below
 * LANES one for each lane that has a limit.
 */
const FINISHED = -1;
const ATTEMPTS = '';
const LANES = -10;

export type LedgerKey = { readonly task: string; readonly generation: number };

/** Advisory lock keys are 64 bits of a text's hash (manual, 9.28.10). */
const fence = /* sql */ `hashtextextended('pgtwin copy ' || $1::text, 0)`;
const lane = /* sql */ `hashtextextended('pgtwin copy ' || $1::text || ' lane ' || $2::int, 0)`;

const beginAttemptSql = /* sql */ `
  insert into pgtwin.copy_chunk (task, generation, relation, chunk)
  select $1, $2, '${ATTEMPTS}', coalesce(max(chunk), 0) + 1 from pgtwin.copy_chunk
   where task = $1 and generation = $2 and relation = '${ATTEMPTS}'
  returning chunk`;

const endHoldersSql = /* sql */ `
  select pg_terminate_backend(l.pid)
    from pg_locks l, ${fence} as key
   where l.locktype = 'advisory' and l.objsubid = 1 and l.pid <> pg_backend_pid()
     and l.database = (select oid from pg_database where datname = current_database())
     and l.classid::int8 = (key >> 32) & 4294967295 and l.objid::int8 = key & 4294967295`;

/**
 * Starts an attempt and ends all former ones: when it returns, no chunk of a former attempt can commit any more. A
 * chunk holds the lock shared until it commits; those that take longer than `patienceMs` (their worker may be gone)
 * are ended. `client` must be in no transaction.
 */
export async function beginAttempt(client: Queryable, key: LedgerKey, patienceMs = 2_000): Promise<number> {
  for (let round = 0; ; round++) {
    await client.query('begin');
    try {
      await client.query(/* sql */ `select set_config('lock_timeout', $1, true)`, [`${patienceMs}ms`]);
      await client.query(/* sql */ `select pg_advisory_xact_lock(${fence})`, [key.task]);
      const { rows } = await client.query<{ chunk: number }>(beginAttemptSql, [key.task, key.generation]);
      await client.query('commit');
      return rows[0]!.chunk;
    } catch (error) {
      await client.query('rollback').catch(() => {});
      if (codeOf(error) !== sqlstate.lockNotAvailable || round >= 5) throw error;
      await client.query(endHoldersSql, [key.task]);
    }
  }
}

const claimSql = /* sql */ `
  insert into pgtwin.copy_chunk (task, generation, relation, chunk)
  select $1, $2, $3, $4
   where not exists (
     select from pgtwin.copy_chunk
      where task = $1 and generation = $2 and relation = '${ATTEMPTS}' and chunk > $5)
  on conflict do nothing`;

/** A chunk and who asks for it; `lane` is the one it was sent for. */
export type Claim = LedgerKey & {
  readonly relation: string;
  readonly chunk: number;
  readonly attempt: number;
  readonly lane: number;
  readonly lanes: number;
};

/**
 * First in a chunk's transaction: waits for a lane, then writes the chunk's row, the transaction's first change
 * (that is how the other capture knows the transaction as ours). Gives the lane; undefined: the chunk is done already,
 * or its attempt is over. A twin of this chunk that is running is waited for, since its row stands in the way until it
 * ends.
 */
export async function claimChunk(
  client: Queryable,
  claim: Claim,
  /** Called when a lane is this chunk's; what it does in the transaction must not write. */
  onLane: (lane: number) => void | Promise<void> = () => {},
): Promise<number | undefined> {
  const { task, generation, relation } = claim;
  const taken = await takeLane(client, claim);
  await onLane(taken);
  await client.query(/* sql */ `select pg_advisory_xact_lock_shared(${fence})`, [task]);
  const done = await client.query(claimSql, [task, generation, relation, claim.chunk, claim.attempt]);
  return done.rowCount === 1 ? taken : undefined;
}

/** Any lane that is free: a worker that waits for one while another lies idle is a worker less. Else its own. */
async function takeLane(client: Queryable, { task, lane: own, lanes }: Claim): Promise<number> {
  const others = Array.from({ length: lanes }, (_, n) => n).filter((n) => n !== own);
  for (const each of [own, ...others]) {
    const { rows } = await client.query<{ taken: boolean }>(
      /* sql */ `select pg_try_advisory_xact_lock(${lane}) as taken`,
      [task, each],
    );
    if (rows[0]!.taken) return each;
  }
  await client.query(/* sql */ `select pg_advisory_xact_lock(${lane})`, [task, own]);
  return own;
}

/**
 * Milliseconds since the lane was paid for, by whichever worker; undefined if nothing is known of it. To be asked by the
 * lane's holder only. All by the destination's clock: those of the workers may differ.
 */
export async function readLaneIdle(
  client: Queryable,
  key: LedgerKey & { lane: number },
): Promise<number | undefined> {
  const { rows } = await client.query<{ idle: number }>(
    /* sql */ `select (extract(epoch from clock_timestamp() - at) * 1000)::float8 as idle from pgtwin.copy_chunk
                where task = $1 and generation = $2 and relation = '${ATTEMPTS}' and chunk = $3`,
    [key.task, key.generation, LANES - key.lane],
  );
  return rows[0]?.idle;
}

/** The lane was paid for so many milliseconds ago: in the transaction of the chunk, with which it commits or not. */
export async function noteLanePaid(
  client: Queryable,
  key: LedgerKey & { lane: number },
  agoMs: number,
): Promise<void> {
  await client.query(
    /* sql */ `insert into pgtwin.copy_chunk (task, generation, relation, chunk, at)
                values ($1, $2, '${ATTEMPTS}', $3, clock_timestamp() - make_interval(secs => $4::float8 / 1000))
                on conflict (task, generation, relation, chunk) do update set at = excluded.at`,
    [key.task, key.generation, LANES - key.lane, agoMs],
  );
}

/** Last in a chunk's transaction. */
export const noteRows = async (
  client: Queryable,
  chunk: LedgerKey & { relation: string; chunk: number; rows: number },
): Promise<void> => {
  await client.query(
    /* sql */ `update pgtwin.copy_chunk set copied_rows = $5
                where task = $1 and generation = $2 and relation = $3 and chunk = $4`,
    [chunk.task, chunk.generation, chunk.relation, chunk.chunk, chunk.rows],
  );
};

/** Of the given chunks those that are done, with their rows. */
export async function readDone(
  client: Queryable,
  key: LedgerKey,
  chunks: readonly { relation: string; chunk: number }[],
): Promise<{ relation: string; chunk: number; rows: number }[]> {
  const { rows } = await client.query<{ relation: string; chunk: number; copied_rows: bigint }>(
    /* sql */ `select relation, chunk, copied_rows
                 from unnest($3::text[], $4::int[]) asked (relation, chunk)
                 join pgtwin.copy_chunk c using (relation, chunk) where c.task = $1 and c.generation = $2`,
    [key.task, key.generation, chunks.map((c) => c.relation), chunks.map((c) => c.chunk)],
  );
  return rows.map((row) => ({ relation: row.relation, chunk: row.chunk, rows: Number(row.copied_rows) }));
}

const finishSql = /* sql */ `
  with done as (
    select relation, count(*) as chunks, sum(copied_rows) as rows from pgtwin.copy_chunk
     where task = $1 and generation = $2 and chunk between $3 and $4 and relation = any($5) group by relation)
  insert into pgtwin.copy_chunk (task, generation, relation, chunk, copied_rows)
  select $1, $2, asked.relation, ${FINISHED}, done.rows
    from unnest($5::text[], $6::int[]) asked (relation, chunks) join done using (relation)
   where done.chunks = asked.chunks
  on conflict (task, generation, relation, chunk) do update set at = now()`;

/**
 * Marks tables as finished, after looking once more that the ledger has all their chunks: chunks commit without
 * waiting for the disk, this waits, and so makes all of them durable. Runs in the caller's transaction.
 */
export async function finishTables(
  client: Queryable,
  key: LedgerKey & { firstChunk: number; lastChunk: number },
  tables: readonly { relation: string; chunks: number }[],
): Promise<void> {
  const relations = tables.map((t) => t.relation);
  const { rowCount } = await client.query(finishSql, [
    key.task,
    key.generation,
    key.firstChunk,
    key.lastChunk,
    relations,
    tables.map((t) => t.chunks),
  ]);
  if (rowCount !== tables.length)
    throw new PgtwinError('copy-failed', {
      detail: 'The destination lost chunks that it had committed (it was restarted after a crash).',
    });
}

/** Tables that are copied in full, with their rows: by the task in this generation, or in any if none is given. */
export async function readFinished(
  client: Queryable,
  task: string,
  generation?: number,
): Promise<Map<string, number>> {
  const { rows } = await client.query<{ relation: string; rows: bigint }>(
    /* sql */ `select relation, max(copied_rows) as rows from pgtwin.copy_chunk
                where task = $1 and ($2::int8 is null or generation = $2) and chunk = ${FINISHED} group by relation`,
    [task, generation ?? null],
  );
  return new Map(rows.map((row) => [row.relation, Number(row.rows)]));
}

/** Tables of which an attempt of this generation has copied something: rows may be there. */
export async function readTouched(client: Queryable, key: LedgerKey): Promise<Set<string>> {
  const { rows } = await client.query<{ relation: string }>(
    /* sql */ `select distinct relation from pgtwin.copy_chunk where task = $1 and generation = $2 and chunk >= 0`,
    [key.task, key.generation],
  );
  return new Set(rows.map((row) => row.relation));
}

export type CopiedTable = { readonly rows: number; readonly finished: boolean };

const copiedSql = /* sql */ `
  with attempt as (
    select coalesce(max(chunk), 0) * $3::int as first from pgtwin.copy_chunk
     where task = $1 and generation = $2 and relation = '${ATTEMPTS}')
  select relation, bool_or(chunk = ${FINISHED}) as finished, coalesce(max(copied_rows) filter (where chunk = ${FINISHED}),
         sum(copied_rows) filter (where chunk between first and first + $3::int - 1), 0)::int8 as rows
    from pgtwin.copy_chunk, attempt
   where task = $1 and generation = $2 and relation <> '${ATTEMPTS}' group by relation`;

/** How far each table is, by its name in the ledger: what the newest attempt has copied of it, or all. */
export async function readCopied(client: Queryable, key: LedgerKey): Promise<Map<string, CopiedTable>> {
  const { rows } = await client.query<{ relation: string; rows: bigint; finished: boolean }>(copiedSql, [
    key.task,
    key.generation,
    CHUNKS_PER_ATTEMPT,
  ]);
  return new Map(rows.map((row) => [row.relation, { rows: Number(row.rows), finished: row.finished }]));
}
