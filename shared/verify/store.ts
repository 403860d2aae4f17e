import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { taskIdOf } from '../task/schema.ts';
import type { Page, Table } from '../task/table.ts';
import {
  type FoundKey,
  foundKey,
  type TableReport,
  tableReport,
  type Verification,
  verification,
} from './model.ts';
import { isUnderWork } from './run-facts.ts';

/*
 * Verifications lie in the partition of the pair's forward task, so that they go with the pair:
 * 'verification#<run>' is the run, 'verified#<run>#table#<n>' the report of a table, and
 * 'verified#<run>#keys#<n>#<page>' a page of its differing keys. Partition 'verifying' names the runs under work.
 */
export const ACTIVE = 'verifying';
const homeOf = (pairId: string): string => taskIdOf(pairId, 'forward');
const headKey = (run: string): string => `verification#${run}`;
const number = (n: number): string => String(n).padStart(6, '0');
const tablePrefix = (run: string): string => `verified#${run}#table#`;
const keysPrefix = (run: string): string => `verified#${run}#keys#`;

/** Ids sort by time. */
export const newRunId = (now: Date): string =>
  `${now.toISOString().replace(/[-:.]/g, '').toLowerCase()}${randomBytes(3).toString('hex')}`;

/** Reports that are written at once. */
const TOGETHER = 20;

/** Keys that a page holds: of any length, an item of them is below DynamoDB's 400 KB. */
export const PAGE_KEYS = 50;

export type KeyPage = { readonly table: number; readonly page: number; readonly keys: readonly FoundKey[] };
const keyPage = z.strictObject({ table: z.number().int(), page: z.number().int(), keys: z.array(foundKey) });

/** A run with the version of its item: the condition of the next write. */
export type StoredRun = { run: Verification; version: number };

/** Runs, reports and keys in the table. */
export class VerificationStore {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Stores a new run, with what is known of its tables already; throws `action-not-allowed` if one of the pair is under work. */
  async start(run: Verification, reports: readonly TableReport[] = []): Promise<void> {
    const item = { pk: homeOf(run.pairId), sk: headKey(run.id), version: 1, body: run };
    await this.#table.put(item, 'absent');
    try {
      // Before the claim: from then on the monitor may end it.
      for (let from = 0; from < reports.length; from += TOGETHER)
        await Promise.all(reports.slice(from, from + TOGETHER).map((report) => this.saveReport(run, report)));
      await this.#claim(run);
    } catch (error) {
      await this.#forget(run.pairId, run.id).catch(() => {});
      throw error;
    }
  }

  /** Takes a run that has ended to work again, for its repair. False if it was changed meanwhile. */
  async reopen(stored: StoredRun): Promise<boolean> {
    await this.#claim(stored.run);
    if (await this.save(stored)) return true;
    await this.#table.remove(ACTIVE, stored.run.pairId);
    return false;
  }

  async #claim({ pairId, id }: Verification): Promise<void> {
    const item = { pk: ACTIVE, sk: pairId, body: { run: id } };
    if (await this.#table.put({ ...item, version: 1 }, 'absent')) return;
    const other = await this.#table.get(ACTIVE, pairId);
    const run = (other?.body as { run?: string } | undefined)?.run;
    const known = run === undefined ? undefined : await this.find(pairId, run);
    // The mark of a run that has ended, or is gone, was left by a crash.
    const left = run !== id && !(known && isUnderWork(known.run));
    const version = other?.version ?? 0;
    if (left && (await this.#table.put({ ...item, version: version + 1 }, other ? version : 'absent')))
      return;
    throw new PgtwinError('action-not-allowed', {
      detail: `Verification ${run} of this pair is under work: wait for its end, or cancel it.`,
    });
  }

  /** Runs under work, of all pairs. */
  async active(): Promise<{ pairId: string; run: string }[]> {
    const found: { pairId: string; run: string }[] = [];
    let after: string | undefined;
    do {
      const page = await this.#table.query(ACTIVE, after ? { after } : {});
      for (const { sk, body } of page.items) found.push({ pairId: sk, run: (body as { run: string }).run });
      after = page.next;
    } while (after);
    return found;
  }

  /** Nobody works on it any more. */
  async ended(pairId: string): Promise<void> {
    await this.#table.remove(ACTIVE, pairId);
  }

  async find(pairId: string, run: string): Promise<StoredRun | undefined> {
    const item = await this.#table.get(homeOf(pairId), headKey(run));
    return item && { run: parse(verification, item.body), version: item.version };
  }

  /** Throws `not-found`. */
  async get(pairId: string, run: string): Promise<StoredRun> {
    const found = await this.find(pairId, run);
    if (found) return found;
    throw new PgtwinError('not-found', { detail: `Pair ${pairId} has no verification ${run}.` });
  }

  /** The runs of a pair, the newest first. */
  async list(
    pairId: string,
    { limit, after }: { limit: number; after?: string | undefined },
  ): Promise<{ runs: Verification[]; next?: string }> {
    const page = await this.#table.query(homeOf(pairId), {
      prefix: 'verification#',
      descending: true,
      limit,
      ...(after === undefined ? {} : { after: headKey(after) }),
    });
    const runs = page.items.map(({ body }) => parse(verification, body));
    return page.next === undefined ? { runs } : { runs, next: page.next.slice(headKey('').length) };
  }

  /** False, and nothing written, if somebody else has written since it was read. */
  async save(stored: StoredRun): Promise<boolean> {
    const { run, version } = stored;
    const item = { pk: homeOf(run.pairId), sk: headKey(run.id), version: version + 1, body: run };
    if (!(await this.#table.put(item, version))) return false;
    stored.version += 1;
    return true;
  }

  async saveReport({ pairId, id }: Verification, report: TableReport): Promise<void> {
    const sk = tablePrefix(id) + number(report.number);
    await this.#table.put({ pk: homeOf(pairId), sk, version: 1, body: report }, 'any');
  }

  async report({ pairId, id }: Verification, table: number): Promise<TableReport | undefined> {
    const item = await this.#table.get(homeOf(pairId), tablePrefix(id) + number(table));
    return item && parse(tableReport, item.body);
  }

  async reports(
    { pairId, id }: Verification,
    { limit, after }: { limit: number; after?: string | undefined },
  ): Promise<{ reports: TableReport[]; next?: string }> {
    const { items, next } = await this.#query(pairId, tablePrefix(id), limit, after);
    const reports = items.map(({ body }) => parse(tableReport, body));
    return next === undefined ? { reports } : { reports, next };
  }

  async savePage({ pairId, id }: Verification, page: KeyPage): Promise<void> {
    const sk = `${keysPrefix(id)}${number(page.table)}#${number(page.page)}`;
    await this.#table.put({ pk: homeOf(pairId), sk, version: 1, body: page }, 'any');
  }

  /** Pages of differing keys, of one table or of all; `at` is handed back as `after`. */
  async pages(
    { pairId, id }: Verification,
    { limit, after, table }: { limit: number; after?: string | undefined; table?: number | undefined },
  ): Promise<{ pages: (KeyPage & { at: string })[]; next?: string }> {
    const prefix = keysPrefix(id) + (table === undefined ? '' : `${number(table)}#`);
    const { items, next } = await this.#query(pairId, prefix, limit, after);
    const pages = items.map(({ sk, body }) => ({ ...parse(keyPage, body), at: sk.slice(prefix.length) }));
    return next === undefined ? { pages } : { pages, next };
  }

  async #query(pairId: string, prefix: string, limit: number, after: string | undefined): Promise<Page> {
    const page = await this.#table.query(homeOf(pairId), {
      prefix,
      limit,
      ...(after === undefined ? {} : { after: prefix + after }),
    });
    return page.next === undefined ? page : { items: page.items, next: page.next.slice(prefix.length) };
  }

  /** Forgets all but the newest runs. */
  async forgetOld(pairId: string, keep: number): Promise<void> {
    const { runs } = await this.list(pairId, { limit: 100 });
    for (const { id } of runs.slice(keep)) await this.#forget(pairId, id);
  }

  async #forget(pairId: string, id: string): Promise<void> {
    for (const prefix of [tablePrefix(id), keysPrefix(id)])
      for (;;) {
        const { items } = await this.#table.query(homeOf(pairId), { prefix, limit: 100 });
        for (const { pk, sk } of items) await this.#table.remove(pk, sk);
        if (items.length < 100) break;
      }
    await this.#table.remove(homeOf(pairId), headKey(id));
  }
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new PgtwinError('internal', {
    detail: `What is stored of a verification is not readable: ${parsed.error.issues[0]?.path.join('.')}`,
  });
}
