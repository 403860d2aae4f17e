import type { PlannedChunk } from '../../shared/copy/chunks.ts';
import type { CopyItem } from '../../shared/copy/work.ts';
import type { TableName } from '../../shared/task/schema.ts';

/** A table to be copied in this attempt. */
export type CopyTable = {
  /** Its name on the destination. */
  readonly table: TableName;
  readonly relation: string;
  readonly chunks: readonly PlannedChunk[];
  readonly columns: readonly string[];
  /** The columns' names on the destination. */
  readonly into: readonly string[];
  readonly where: string | undefined;
  /** The table at the source, if steps are carried out on its rows. */
  readonly source: TableName | undefined;
  readonly format: 'text' | 'binary';
  readonly merge: boolean;
  readonly key: readonly string[] | null;
  /** Run when the rows are there: a key built over rows takes half the time of one that each row is put into. */
  readonly primaryKey: readonly string[];
};

/** What one message asks for. */
export type Unit = { readonly items: readonly CopyItem[]; left: number; lane: number; sentAt: number };

const SMALL_BYTES = 1 << 20;
const PACK = { items: 50, bytes: 8 << 20, json: 200_000 } as const;
/** A message must end well within a function's time, and not be taken for lost. */
const RUN = { items: 20, bytes: 1 << 30, json: PACK.json } as const;

/**
 * What the messages ask for: runs of chunks of one table, which share a worker's connections (two new ones cost 60 ms
 * each time), and small tables together. Large tables come first; runs get shorter towards the end of a table, so
 * that all `lanes` end at about the same time.
 */
export function unitsOf(tables: readonly CopyTable[], lanes: number): Unit[] {
  const bytesOf = (t: CopyTable): number => t.chunks.reduce((sum, c) => sum + c.estimatedBytes, 0);
  const sized = tables.map((plan) => ({ plan, bytes: bytesOf(plan) })).sort((a, b) => b.bytes - a.bytes);
  const units: Unit[] = [];
  let pack: CopyItem[] = [];
  let bytes = 0;
  let json = 0;
  const seal = (): void => {
    if (pack.length > 0) units.push(unitOf(pack));
    pack = [];
    bytes = 0;
    json = 0;
  };
  for (const { plan } of sized) {
    const [only] = plan.chunks;
    if (plan.chunks.length > 1 || (only?.estimatedBytes ?? 0) > SMALL_BYTES) {
      for (const run of runsOf(plan, lanes)) units.push(unitOf(run));
      continue;
    }
    for (const chunk of plan.chunks) {
      const item = itemOf(plan, chunk);
      const size = JSON.stringify(item).length;
      const full =
        pack.length >= PACK.items || bytes + chunk.estimatedBytes > PACK.bytes || json + size > PACK.json;
      if (full) seal();
      pack.push(item);
      bytes += chunk.estimatedBytes;
      json += size;
    }
  }
  seal();
  return units;
}

/** Each run takes its share of half of what is left. */
function runsOf(plan: CopyTable, lanes: number): CopyItem[][] {
  const { chunks } = plan;
  const json = JSON.stringify(itemOf(plan, chunks.at(-1)!)).length;
  const most = Math.max(1, Math.min(RUN.items, Math.floor(RUN.json / json)));
  const runs: CopyItem[][] = [];
  for (let at = 0; at < chunks.length; ) {
    const share = Math.max(1, Math.floor((chunks.length - at) / (2 * lanes)));
    const run: CopyItem[] = [];
    for (let bytes = 0; run.length < Math.min(most, share) && at < chunks.length; at++) {
      bytes += chunks[at]!.estimatedBytes;
      if (run.length > 0 && bytes > RUN.bytes) break;
      run.push(itemOf(plan, chunks[at]!));
    }
    runs.push(run);
  }
  return runs;
}

const unitOf = (items: readonly CopyItem[]): Unit => ({ items, left: items.length, lane: 0, sentAt: 0 });

const itemOf = (plan: CopyTable, chunk: PlannedChunk): CopyItem => ({
  table: plan.table,
  chunk: chunk.index,
  heap: chunk.heap,
  from: chunk.from,
  to: chunk.to,
  columns: [...plan.columns],
  ...(plan.into.join('\0') === plan.columns.join('\0') ? {} : { into: [...plan.into] }),
  ...(plan.where === undefined ? {} : { where: plan.where }),
  ...(plan.source === undefined ? {} : { source: plan.source }),
  format: plan.format,
  merge: plan.merge,
  key: plan.key ? [...plan.key] : null,
});
