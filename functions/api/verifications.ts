import type { z } from 'zod';
import type {
  DifferenceQuery,
  differenceList,
  VerificationView,
} from '../../shared/client/verify-contract.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Pair } from '../../shared/task/schema.ts';
import type { RepairOrder, Verification, VerifyCounts } from '../../shared/verify/model.ts';
import { differingRows, isUnderWork } from '../../shared/verify/run-facts.ts';
import { noteRun } from '../../shared/verify/start.ts';
import { PAGE_KEYS, type StoredRun, VerificationStore } from '../../shared/verify/store.ts';
import type { TwinName } from '../../shared/verify/twin.ts';
import { wordsOfWinner } from '../../shared/verify/winner.ts';
import type { ApiDeps } from './deps.ts';
import { assertMatches } from './if-match.ts';

const TRIES = 10;

const storeOf = ({ repository }: ApiDeps): VerificationStore => new VerificationStore(repository.table);

type Asked = { readonly actor: string; readonly match: string | undefined };

/** Ends a run where it stands; what was found stays to be read. */
export const cancelVerification = (
  deps: ApiDeps,
  pair: Pair,
  id: string,
  { actor, match }: Asked,
): Promise<StoredRun> =>
  change(deps, pair, id, async (stored, store) => {
    assertMatches(match, `"${stored.version}"`);
    if (!isUnderWork(stored.run)) return true;
    const at = deps.now().toISOString();
    stored.run = { ...stored.run, status: 'cancelled', finishedAt: at, updatedAt: at };
    if (!(await store.save(stored))) return false;
    await store.ended(pair.id);
    await noteRun(deps.repository, stored.run, `verification ${id} was cancelled`, actor);
    return true;
  });

/** Lets the monitor repair what a run has found. */
export const repairVerification = (
  deps: ApiDeps,
  pair: Pair,
  id: string,
  { order, actor, match }: Asked & { readonly order: RepairOrder },
): Promise<StoredRun> =>
  change(deps, pair, id, async (stored, store) => {
    assertMatches(match, `"${stored.version}"`);
    const { run } = stored;
    if (run.status !== 'finished' && run.status !== 'cancelled')
      throw new PgtwinError('action-not-allowed', {
        detail: `Verification ${id} is ${run.status}: one that has ended can be repaired.`,
      });
    if (run.generations.reverse === 0 && order.winner === 'b')
      throw new PgtwinError('invalid-request', {
        field: 'winner',
        detail: 'winner: the pair is synchronized from a to b only, so only side a can win.',
      });
    const at = deps.now().toISOString();
    const { finishedAt: _finished, error: _error, ...rest } = run;
    stored.run = {
      ...rest,
      ...{ status: 'repairing', updatedAt: at, leaseUntil: at },
      repair: { order, by: actor, askedAt: at, after: null, repaired: 0, refused: 0 },
    };
    if (!(await store.reopen(stored))) return false;
    await noteRun(
      deps.repository,
      run,
      `repair of verification ${id} was asked for, ${wordsOfWinner(order.winner)}`,
      actor,
    );
    return true;
  });

/** The monitor writes the same item: tried again until nobody was in between. */
async function change(
  deps: ApiDeps,
  pair: Pair,
  id: string,
  work: (stored: StoredRun, store: VerificationStore) => Promise<boolean>,
): Promise<StoredRun> {
  const store = storeOf(deps);
  for (let tries = 0; tries < TRIES; tries++) {
    const stored = await store.get(pair.id, id);
    if (await work(stored, store)) return stored;
  }
  throw new PgtwinError('conflict-of-versions', { detail: `Verification ${id} is changed by many at once.` });
}

export const readVerification = (deps: ApiDeps, pair: Pair, id: string): Promise<StoredRun> =>
  storeOf(deps).get(pair.id, id);

export async function listVerifications(
  deps: ApiDeps,
  pair: Pair,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ verifications: VerificationView[]; next?: string }> {
  const { runs, next } = await storeOf(deps).list(pair.id, { limit, after: cursor });
  const verifications = runs.map(viewRun);
  return next === undefined ? { verifications } : { verifications, next };
}

export async function listTableReports(
  deps: ApiDeps,
  pair: Pair,
  id: string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
) {
  const store = storeOf(deps);
  const { run } = await store.get(pair.id, id);
  const { reports, next } = await store.reports(run, { limit, after: cursor });
  return next === undefined ? { tables: reports } : { tables: reports, next };
}

/** Differing keys, page by page; without the keys themselves where they are not to be seen. */
export async function listDifferences(
  deps: ApiDeps,
  pair: Pair,
  id: string,
  { limit, cursor, table, withKeys }: DifferenceQuery & { withKeys: boolean },
): Promise<z.infer<typeof differenceList>> {
  const store = storeOf(deps);
  const { run } = await store.get(pair.id, id);
  const { pages, next } = await store.pages(run, {
    limit: Math.max(1, Math.floor(limit / PAGE_KEYS)),
    after: cursor,
    table,
  });
  const names = new Map<number, { a: TwinName['names']['a']; b: TwinName['names']['b'] }>();
  for (const number of new Set(pages.map((page) => page.table))) {
    const report = (await store.report(run, number)) ?? run.progress.report;
    if (report) names.set(number, { a: report.a, b: report.b });
  }
  const differences = pages.flatMap(({ table: number, keys }) => {
    const name = names.get(number);
    return name ? keys.map(({ key, ...found }) => ({ ...found, ...name, ...(withKeys ? { key } : {}) })) : [];
  });
  return next === undefined ? { differences } : { differences, next };
}

/** A run as the API shows it. */
export function viewRun(run: Verification): VerificationView {
  const { progress, leaseUntil: _lease, generations: _generations, v: _v, repair, counts, ...shown } = run;
  const { report } = progress;
  const sum = { ...counts };
  if (report)
    for (const [name, value] of Object.entries(report.counts)) sum[name as keyof VerifyCounts] += value;
  const alike = differingRows(sum) === 0 && sum.unsettled === 0 && run.tablesFailed === 0;
  const order = repair && {
    ...{ order: repair.order, by: repair.by, askedAt: repair.askedAt },
    ...{ repaired: repair.repaired, refused: repair.refused },
  };
  const rows = report ? Math.max(report.counts.rowsOnA, report.counts.rowsOnB) : 0;
  return {
    ...shown,
    counts: sum,
    equal: run.status === 'finished' ? alike : null,
    ...(report && run.status === 'verifying' ? { current: { a: report.a, b: report.b, rows } } : {}),
    ...(order ? { repair: order } : {}),
  };
}
