import type { Settings } from '../../shared/conflict/policies/policy.ts';
import type { Side } from '../../shared/conflict/rows.ts';
import type { Seen } from '../../shared/conflict/seen.ts';
import type { SourceFacts } from '../../shared/conflict/steps.ts';
import type { DecodedChanges, DecodedTransaction } from '../../shared/stream/decode.ts';
import type { Placing } from '../../shared/task/placing.ts';
import type { ConflictLogSettings } from './conflict-log.ts';
import type { ChoiceOf, Role } from './exact.ts';
import type { ShapeOf } from './objects.ts';
import type { ReferenceSettings } from './references.ts';
import type { ApplyTable } from './tables.ts';

/** What apply does for one task, from its configuration. */
export type ApplySettings = {
  readonly opposite: string;
  readonly here: Side;
  readonly there: Side;
  readonly arbiter: Side;
  /** The role in the conflict protocol; `alone` for tables that only one task has. */
  readonly role: (table: ApplyTable) => Role;
  readonly settings: (table: ApplyTable, source: SourceFacts) => Settings;
  readonly choice: ChoiceOf;
  readonly log: ConflictLogSettings;
  /** What becomes of rows whose parent the other side has deleted. */
  readonly references: Pick<ReferenceSettings, 'rule' | 'isKnown'>;
  /** True if deletions by this side's users are noted (onDeleted "by-time"). */
  readonly tombstones: boolean;
  /** False for operations that the task leaves out. */
  readonly wants: (table: ApplyTable, kind: number) => boolean;
  /** What becomes of rows before they are applied; undefined where all stay as they are. */
  readonly shapeOf: ShapeOf | undefined;
  /** The shards of the task's tables. */
  readonly placing: Placing;
};

/**
 * How the rows of a batch are written: by sets (`copy`: many new rows by COPY), or each original change by itself;
 * `strict` is the latter with deferrable unique constraints looked at by every change.
 */
export type Mode = 'copy' | 'sets' | 'exact' | 'strict';

/** Source transactions that are written together. */
export type Batch = {
  readonly decoded: DecodedChanges;
  readonly transactions: readonly DecodedTransaction[];
  /** What the author of each of them had seen of this side. */
  readonly seenBy: readonly Seen[];
};
