import type pg from 'pg';
import { readFailure } from '../../shared/copy/failure.ts';
import { finishTables, readDone } from '../../shared/copy/ledger.ts';
import type { TableProgress } from '../../shared/copy/progress.ts';
import { type CopyMessage, chunkIndex, chunkNumber, relationOf } from '../../shared/copy/work.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { translate } from '../../shared/postgres/sqlstate.ts';
import type { Clock, WorkQueue } from '../../shared/task/ports.ts';
import type { Table } from '../../shared/task/table.ts';
import { type CopyTable, type Unit, unitsOf } from './copy-units.ts';

export type CopyRunOptions = {
  readonly task: string;
  readonly generation: number;
  readonly attempt: number;
  readonly snapshot: string;
  readonly tables: readonly CopyTable[];
  readonly parallelism: number;
  /** Reads the ledger; used by nobody else meanwhile. */
  readonly ledger: pg.Client;
  /** Build primary keys, one at a time each. */
  readonly builders: readonly pg.Client[];
  readonly table: Table;
  readonly queue: WorkQueue;
  readonly queueUrl: string;
  /** Rejects when the snapshot is lost. */
  readonly lost: Promise<never>;
  /** All chunks are copied: the snapshot is not needed any more. */
  readonly copied: () => Promise<void>;
  readonly onProgress: (tables: readonly TableProgress[]) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
};

/** Outstanding messages of a lane: one that is copied, and one whose worker is connected and waits for its turn. */
const AHEAD = 2;
const POLL_MS = { least: 10, most: 200 } as const;
const FAILURES_MS = 500;
const PROGRESS_MS = 1_000;
/** A message that a queue lost is sent again; a worker that still runs makes its twin wait, and then skip. */
const RESEND_MS = 600_000;

type TableRun = { readonly plan: CopyTable; rows: number; bytes: number; done: number; finished: boolean };

/**
 * Sends the chunks of an attempt to the workers, a bounded number at a time, watches the destination's ledger, and
 * finishes each table when its last chunk is there. Throws what a worker reports; the attempt is then over.
 */
export class CopyRun {
  readonly #o: CopyRunOptions;
  readonly #tables: Map<string, TableRun>;
  readonly #units: Unit[];
  #outstanding: Unit[] = [];
  readonly #unitOf = new Map<string, Unit>();
  readonly #building: Promise<void>[];
  #failure: unknown;

  constructor(options: CopyRunOptions) {
    this.#o = options;
    this.#tables = new Map(
      options.tables.map((plan) => [plan.relation, { plan, rows: 0, bytes: 0, done: 0, finished: false }]),
    );
    this.#units = unitsOf(options.tables, options.parallelism);
    this.#building = options.builders.map(() => Promise.resolve());
  }

  async run(): Promise<void> {
    const { clock, signal, lost } = this.#o;
    const lanes = Array.from({ length: this.#o.parallelism }, () => 0);
    lost.catch((error) => {
      this.#failure ??= error;
    });
    let progressAt = 0;
    let failuresAt = 0;
    let pauseMs: number = POLL_MS.least;
    while (this.#units.length > 0 || this.#outstanding.length > 0) {
      signal.throwIfAborted();
      await this.#send(lanes);
      const now = clock.now().getTime();
      if (now - failuresAt >= FAILURES_MS) {
        failuresAt = now;
        this.#failure ??= await readFailure(this.#o.table, this.#o);
      }
      if (this.#failure) throw this.#failure;
      if (now - progressAt >= PROGRESS_MS) {
        progressAt = now;
        this.#tell();
      }
      const moved = await this.#readLedger(lanes);
      pauseMs = moved ? POLL_MS.least : Math.min(POLL_MS.most, pauseMs * 1.5);
      if (!moved) await clock.sleep(pauseMs, signal);
    }
    await this.#o.copied();
    await Promise.all(this.#building);
    if (this.#failure) throw this.#failure;
    this.#tell();
  }

  async #send(lanes: number[]): Promise<void> {
    const now = this.#o.clock.now().getTime();
    const units: Unit[] = [];
    for (const unit of this.#outstanding) {
      if (now - unit.sentAt < RESEND_MS) continue;
      unit.sentAt = now;
      this.#o.log.warn('work sent again', { task: this.#o.task, chunks: unit.items.length });
      units.push(unit);
    }
    for (;;) {
      const lane = lanes.indexOf(Math.min(...lanes));
      if (lanes[lane]! >= AHEAD) break;
      const unit = this.#units.shift();
      if (!unit) break;
      lanes[lane]! += 1;
      Object.assign(unit, { lane, sentAt: now });
      this.#outstanding.push(unit);
      for (const item of unit.items) this.#unitOf.set(ledgerKey(relationOf(item.table), item.chunk), unit);
      units.push(unit);
    }
    const busy = lanes.filter((outstanding) => outstanding > 0).length;
    const bodies = units.map((unit) => this.#bodyOf(unit, busy));
    if (bodies.length > 0) await this.#o.queue.sendWork(this.#o.queueUrl, bodies);
  }

  #bodyOf({ items, lane }: Unit, lanes: number): string {
    const { task, generation, attempt, snapshot } = this.#o;
    const at = { v: 1 as const, task, generation, attempt, snapshot };
    const message: CopyMessage = { ...at, lane, lanes, items: [...items] };
    return JSON.stringify(message);
  }

  /** Looks for the outstanding chunks only: each is found once, by its primary key. */
  async #readLedger(lanes: number[]): Promise<boolean> {
    const { attempt } = this.#o;
    const asked = [...this.#unitOf.keys()].map((key) => {
      const [relation, index] = key.split('\0') as [string, string];
      return { relation, chunk: chunkNumber(attempt, Number(index)) };
    });
    const done = await readDone(this.#o.ledger, this.#o, asked).catch((error) => {
      throw translate(error);
    });
    const complete: TableRun[] = [];
    for (const { relation, chunk, rows } of done) {
      const index = chunkIndex(chunk);
      const unit = this.#unitOf.get(ledgerKey(relation, index));
      const run = this.#tables.get(relation);
      if (!unit || !run) continue;
      this.#unitOf.delete(ledgerKey(relation, index));
      unit.left -= 1;
      if (unit.left === 0) lanes[unit.lane]! -= 1;
      run.rows += rows;
      run.bytes += run.plan.chunks[index]!.estimatedBytes;
      run.done += 1;
      if (run.done === run.plan.chunks.length) complete.push(run);
    }
    this.#outstanding = this.#outstanding.filter((unit) => unit.left > 0);
    if (complete.length > 0) this.#finish(complete);
    return done.length > 0;
  }

  /** Tables without a key to build are finished together. */
  #finish(complete: readonly TableRun[]): void {
    const plain = complete.filter((run) => run.plan.primaryKey.length === 0);
    if (plain.length > 0) this.#build(plain);
    for (const run of complete) if (run.plan.primaryKey.length > 0) this.#build([run]);
  }

  #next = 0;
  #build(runs: readonly TableRun[]): void {
    const n = this.#next++ % this.#building.length;
    const client = this.#o.builders[n]!;
    this.#building[n] = this.#building[n]!.then(async () => {
      if (!this.#failure) await this.#finishOn(client, runs);
    }).catch((error) => {
      this.#failure ??= error;
    });
  }

  async #finishOn(client: pg.Client, runs: readonly TableRun[]): Promise<void> {
    const { task, generation, attempt, log } = this.#o;
    const started = performance.now();
    const key = {
      task,
      generation,
      firstChunk: chunkNumber(attempt, 0),
      lastChunk: chunkNumber(attempt + 1, 0) - 1,
    };
    try {
      await client.query('begin');
      await finishTables(
        client,
        key,
        runs.map(({ plan }) => ({ relation: plan.relation, chunks: plan.chunks.length })),
      );
      for (const { plan } of runs) for (const sql of plan.primaryKey) await client.query(sql);
      await client.query('commit');
    } catch (error) {
      await client.query('rollback').catch(() => {});
      throw buildError(error, runs);
    }
    for (const run of runs) run.finished = true;
    const rows = runs.reduce((sum, run) => sum + run.rows, 0);
    const ms = Math.round(performance.now() - started);
    log.info('tables copied', {
      task,
      tables: runs.length,
      first: runs[0]?.plan.relation,
      rows,
      finishMs: ms,
    });
  }

  #tell(): void {
    this.#o.onProgress(
      [...this.#tables.values()].map(({ plan, rows, bytes, finished }) => ({
        table: plan.relation,
        rowsEstimated: plan.chunks.reduce((sum, c) => sum + c.estimatedRows, 0),
        rowsDone: rows,
        bytesEstimated: plan.chunks.reduce((sum, c) => sum + c.estimatedBytes, 0),
        bytesDone: bytes,
        finished,
      })),
    );
  }
}

const ledgerKey = (relation: string, index: number): string => `${relation}\0${index}`;

function buildError(error: unknown, runs: readonly TableRun[]): unknown {
  if (error instanceof PgtwinError) return error;
  const translated = translate(error);
  if (translated.code !== 'database-error') return translated;
  const detail = `The primary key of ${runs[0]?.plan.relation} could not be made: ${translated.message}`;
  return new PgtwinError('copy-failed', { ...translated.facts, detail });
}
