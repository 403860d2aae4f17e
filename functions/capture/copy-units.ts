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

/** Messages of one chunk; tables of one small chunk share one. Large tables come first, so that none is left alone at the end. */
export function unitsOf(tables: readonly CopyTable[]): Unit[] {
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
    for (const chunk of plan.chunks) {
      const item = itemOf(plan, chunk);
      if (plan.chunks.length > 1 || chunk.estimatedBytes > SMALL_BYTES) {
        units.push(unitOf([item]));
        continue;
      }
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
