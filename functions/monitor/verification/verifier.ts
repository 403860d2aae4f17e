import { asPgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import type { DifferenceKind } from '../../../shared/verify/compare.ts';
import {
  type FoundKey,
  freshProgress,
  noCounts,
  type Progress,
  type TableReport,
  type Verification,
  type VerifyCounts,
} from '../../../shared/verify/model.ts';
import { PAGE_KEYS, type StoredRun, type VerificationStore } from '../../../shared/verify/store.ts';
import type { TwinTable } from '../../../shared/verify/tables.ts';
import type { Bench, Timing } from './bench.ts';
import { compareNext } from './compare-table.ts';
import { describe, settle } from './settle.ts';

/** So many candidates wait for a second look at most, and so many bytes of their keys; then they come first. */
const CANDIDATES = 1_000;
const CANDIDATE_BYTES = 100_000;
/** What DynamoDB takes, with room. */
export const ITEM_BYTES = 350_000;
const SAVE_MS = 2_000;
/** A longer key is counted, not kept. */
const KEY_BYTES = 4_000;

/** A step that says nothing for so long was killed, and is taken over. */
const LEASE_MS = 45_000;
export const leaseFrom = ({ now }: Pick<Timing, 'now'>): string => new Date(now() + LEASE_MS).toISOString();

const countOf: Readonly<Record<DifferenceKind, keyof VerifyCounts>> = {
  'missing-on-a': 'missingOnA',
  'missing-on-b': 'missingOnB',
  different: 'different',
  extra: 'extra',
};

/**
 * The comparing part of a run: table by table, range by range. What it has done is stored every few seconds, so that
 * another invocation goes on from there; a range that is done twice is counted once, for counts and place are stored
 * together.
 */
export class Verifier {
  readonly #bench: Bench;
  readonly #store: VerificationStore;
  readonly #stored: StoredRun;
  /** The page of keys that is not full yet. */
  #page: FoundKey[] = [];
  #pageOf = -1;
  #savedAt: number;

  constructor(bench: Bench, store: VerificationStore, stored: StoredRun) {
    this.#bench = bench;
    this.#store = store;
    this.#stored = stored;
    this.#savedAt = bench.time.now();
  }

  get #run(): Verification {
    return this.#stored.run;
  }

  #change(fields: Partial<Verification>): void {
    this.#stored.run = { ...this.#run, ...fields };
  }

  #move(fields: Partial<Progress>): void {
    this.#change({ progress: { ...this.#run.progress, ...fields } });
  }

  /** Works until the time is up, or all tables are done: then true. False too if somebody else has taken the run. */
  async work(): Promise<boolean> {
    const { twins } = this.#bench.context;
    while (this.#run.progress.table < twins.length) {
      if (this.#bench.timeIsUp) return false;
      const waits = await this.#step();
      if (!waits && this.#bench.time.now() - this.#savedAt < SAVE_MS) continue;
      if (!(await this.save())) return false;
      if (waits) return false;
    }
    return true;
  }

  /** One range, or one look at candidates. True if the streams are too far behind to go on now. */
  async #step(): Promise<boolean> {
    const { progress } = this.#run;
    let table: TwinTable;
    try {
      table = await this.#bench.table(progress.table);
      if (!progress.report) this.#begin(table);
      await this.#loadPage();
    } catch (error) {
      await this.#failTable(error);
      return false;
    }
    const { candidates, compared } = this.#run.progress;
    const bytes = candidates.reduce((sum, { key }) => sum + key.join().length + 150, 0);
    if (candidates.length > 0 && (compared || candidates.length >= CANDIDATES || bytes >= CANDIDATE_BYTES))
      return this.#settle(table);
    if (compared) await this.#closeTable();
    else await this.#compare(table);
    return false;
  }

  #begin(table: TwinTable): void {
    const { names, way, notes } = table;
    this.#move({ report: reportOf(this.#run.progress.table, { names, way, notes }) });
  }

  async #compare(table: TwinTable): Promise<void> {
    const { time } = this.#bench;
    const started = time.now();
    const { progress, options } = this.#run;
    try {
      const { rows, buckets, differing, candidates, next } = await compareNext(this.#bench, table, this.#run);
      // The positions are those behind what was read.
      const marks = candidates.length > 0 ? await this.#bench.marks() : progress.marks;
      this.#move({ ...next, candidates: [...progress.candidates, ...candidates], marks });
      this.#count({ rowsOnA: rows.a, rowsOnB: rows.b, buckets, bucketsDiffering: differing });
      const leastMs = (Math.max(rows.a, rows.b) / options.rowsPerSecond) * 1000;
      const restMs = Math.min(leastMs - (time.now() - started), time.deadline - time.now());
      if (restMs > 0) await time.sleep(restMs);
    } catch (error) {
      await this.#failTable(error);
    }
    this.#took(started);
  }

  async #settle(table: TwinTable): Promise<boolean> {
    const started = this.#bench.time.now();
    const { candidates, marks } = this.#run.progress;
    if (!(await this.#bench.arrived(marks))) return true;
    const settled = await settle(this.#bench, table, candidates);
    const found = await describe(this.#bench, table, settled.different);
    const next = settled.open.length > 0 ? await this.#bench.marks() : {};
    for (const each of found) {
      this.#count({ [countOf[each.kind]]: 1 });
      await this.#keep(each);
    }
    this.#count({ rechecked: settled.equal.length, unsettled: settled.unsettled.length });
    this.#move({ candidates: [...settled.open], marks: next });
    this.#took(started);
    return false;
  }

  /** Keeps a key in the report, as long as there is room. */
  async #keep(found: FoundKey): Promise<void> {
    const report = this.#run.progress.report!;
    if (report.keysKept >= this.#run.options.maxKeys || JSON.stringify(found.key).length > KEY_BYTES) return;
    this.#page.push(found);
    this.#move({ report: { ...report, keysKept: report.keysKept + 1 } });
    if (this.#page.length < PAGE_KEYS) return;
    await this.#savePage();
    this.#page = [];
  }

  async #savePage(): Promise<void> {
    const { number, keysKept } = this.#run.progress.report!;
    if (this.#page.length === 0) return;
    const page = Math.floor((keysKept - this.#page.length) / PAGE_KEYS);
    await this.#store.savePage(this.#run, { table: number, page, keys: this.#page });
  }

  /** The page that another invocation began; what it has beyond the stored count was not counted. */
  async #loadPage(): Promise<void> {
    const { table, report } = this.#run.progress;
    if (this.#pageOf === table) return;
    this.#pageOf = table;
    this.#page = [];
    const inPage = (report?.keysKept ?? 0) % PAGE_KEYS;
    if (!report || inPage === 0) return;
    const { pages } = await this.#store.pages(this.#run, { limit: 1_000, table });
    const at = Math.floor(report.keysKept / PAGE_KEYS);
    this.#page = [...(pages.find(({ page }) => page === at)?.keys ?? [])].slice(0, inPage);
  }

  #count(more: Partial<VerifyCounts>): void {
    const report = this.#run.progress.report!;
    this.#move({ report: { ...report, counts: added(report.counts, more) } });
  }

  #took(started: number): void {
    const { report } = this.#run.progress;
    if (!report) return;
    const seconds = report.seconds + (this.#bench.time.now() - started) / 1000;
    this.#move({ report: { ...report, seconds: Math.round(seconds * 1000) / 1000 } });
  }

  /** A table that can't be compared does not stop the others; a database that does not answer does, for now. */
  async #failTable(thrown: unknown): Promise<void> {
    const { code, message, rule } = asPgtwinError(thrown);
    if (rule.retry === 'connection' || code === 'internal' || code === 'table-unavailable') throw thrown;
    const { progress } = this.#run;
    const report =
      progress.report ??
      reportOf(progress.table, { ...this.#bench.context.twins[progress.table]!, notes: [] });
    this.#move({ report: { ...report, error: { code, detail: message, advice: rule.advice } } });
    await this.#closeTable();
  }

  async #closeTable(): Promise<void> {
    const { progress, counts, tablesDone, tablesFailed } = this.#run;
    await this.#savePage();
    await this.#store.saveReport(this.#run, progress.report!);
    this.#page = [];
    this.#change({
      counts: added(counts, progress.report!.counts),
      tablesDone: tablesDone + 1,
      tablesFailed: tablesFailed + (progress.report!.error ? 1 : 0),
      progress: freshProgress(progress.table + 1),
    });
  }

  /** False: somebody else has written the run since, and this work is to end. */
  async save(): Promise<boolean> {
    this.#savedAt = this.#bench.time.now();
    const { time } = this.#bench;
    this.#change({ updatedAt: new Date(time.now()).toISOString(), leaseUntil: leaseFrom(time) });
    if (this.#run.progress.report) await this.#savePage();
    // With keys that long the last stored place counts until they are settled.
    if (Buffer.byteLength(JSON.stringify(this.#run)) > ITEM_BYTES) return true;
    return this.#store.save(this.#stored);
  }
}

const reportOf = (
  number: number,
  { names, way, notes }: Pick<TwinTable, 'names' | 'way' | 'notes'>,
): TableReport => ({
  ...{ number, way, a: names.a, b: names.b },
  counts: noCounts,
  seconds: 0,
  keysKept: 0,
  notes: [...notes],
});

export function added(counts: VerifyCounts, more: Partial<VerifyCounts>): VerifyCounts {
  const sum = { ...counts };
  for (const [name, value] of Object.entries(more)) sum[name as keyof VerifyCounts] += value;
  return sum;
}
