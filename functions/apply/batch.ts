import { setTimeout as pause } from 'node:timers/promises';
import { parseSeen, type Seen } from '../../shared/conflict/seen.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { codeOf, isTransient, sqlstate, translate } from '../../shared/postgres/sqlstate.ts';
import {
  type DecodedChanges,
  type DecodedTransaction,
  decodeTogether,
  RecordDecoder,
} from '../../shared/stream/decode.ts';
import { limits } from '../../shared/stream/limits.ts';
import { decompress, inlineRecords, type Message, type MessageHeader } from '../../shared/stream/message.ts';
import type { BlobStore } from '../../shared/task/ports.ts';
import { admit } from './admit.ts';
import { changesOfShards, lockOthers, shardsWithout, watermarkFor } from './all-shards.ts';
import type { ApplySettings, Mode } from './apply-settings.ts';
import { logStop } from './conflict-log.ts';
import { CopyCollides } from './copy-rows.ts';
import { TaskStopped } from './exact.ts';
import { type Piece, smaller } from './pieces.ts';
import { lockProgress, noteGap, type Progress } from './progress.ts';
import { NeedsExact } from './row-sets.ts';
import type { Session } from './session.ts';
import { shapeChanges } from './shape.ts';
import { seenStates } from './source-changes.ts';
import { inTransaction } from './transaction.ts';
import { BatchWriter } from './write.ts';

export type BatchResult = {
  /** Transactions that were written now. */
  readonly transactions: number;
  readonly changes: number;
  readonly conflicts: number;
  /** True if messages are missing before these: they are deleted, a re-send has been asked for. */
  readonly gap: boolean;
};

export type BatchOptions = {
  readonly session: Session;
  readonly settings: ApplySettings;
  readonly blobs: BlobStore;
  readonly log: Log;
};

/** Whole transactions of admitted messages, decoded: what one destination transaction may hold. */
type Unit = {
  readonly header: MessageHeader;
  readonly transactions: readonly DecodedTransaction[];
};

const TRIES = 5;

/**
 * Applies the messages of one group, in order. Each destination transaction locks the watermark first, so a message
 * that comes twice, or to two invocations at once, is applied once. Throws translated errors; what was committed by
 * then stays, and is skipped when the messages come again.
 */
export async function applyMessages(
  messages: readonly Message[],
  options: BatchOptions,
): Promise<BatchResult> {
  const total = { transactions: 0, changes: 0, conflicts: 0, gap: false };
  for (const part of portions(messages)) {
    const result = await applyTogether(part, options).catch((error: unknown) => {
      if (error instanceof PgtwinError && error.code === 'claim-check-missing')
        return askAgain(part, options, error);
      throw error;
    });
    total.transactions += result.transactions;
    total.changes += result.changes;
    total.conflicts += result.conflicts;
    if (result.gap) return { ...total, gap: true };
  }
  return total;
}

const applyTogether = (part: readonly Message[], options: BatchOptions): Promise<BatchResult> =>
  goesAlone(part[0]!) ? applyParts(part[0]!, options) : applyPortion(part, options);

/**
 * A transaction in several stored parts, or of several shards. Or a message without any: it shows that what should have
 * come before it was lost.
 */
const goesAlone = ({ header }: Message): boolean =>
  (header.parts?.length ?? 0) > 1 || header.allShards === true || header.transactions === 0;

/** Stored parts are gone: as if the messages had been lost. The slot still has what they named. */
async function askAgain(
  messages: readonly Message[],
  options: BatchOptions,
  error: PgtwinError,
): Promise<BatchResult> {
  const { session, log } = options;
  return inTransaction(session, async () => {
    const { generation, epoch, position } = await lockOrRefuse(options);
    const missing = messages.filter(
      ({ header: h }) => h.generation === generation && h.epoch >= epoch && h.last > position,
    );
    if (missing.length === 0) return nothing(false);
    log.warn('stored parts are missing', { watermark: position, messages: missing.length, error });
    await noteGap(session, Math.max(...missing.map(({ header }) => header.epoch)));
    return nothing(true);
  });
}

/** Bytes of changes that one destination transaction may hold in memory. */
const PORTION_BYTES = 48 * 1024 * 1024;

/** Messages that go together; some go alone. */
function portions(messages: readonly Message[]): Message[][] {
  const out: Message[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const message of messages) {
    const alone = goesAlone(message);
    if (alone || bytes + message.header.bytes > PORTION_BYTES) {
      out.push([]);
      bytes = 0;
    }
    out.at(-1)!.push(message);
    bytes = alone ? Number.POSITIVE_INFINITY : bytes + message.header.bytes;
  }
  return out;
}

async function applyPortion(messages: readonly Message[], options: BatchOptions): Promise<BatchResult> {
  const whole = await decodeWhole(messages, options.blobs);
  const { units } = whole;
  const decoded = await shapeChanges(whole.decoded, options.settings.shapeOf, options.session);
  // Each message starts with a state of its own; what its records add holds from there on.
  const seen = units.flatMap((u) => seenStates(parseSeen(u.header.seen), u.transactions));
  const result = { transactions: 0, changes: 0, conflicts: 0, gap: false };
  const work: Piece[] = [{ from: 0, to: decoded.transactions.length, mode: 'copy' }];
  for (let piece = work.shift(); piece; piece = work.shift()) {
    const done = await attempt(options, piece, units, decoded, seen);
    if (done === 'split') work.unshift(...smaller(piece, decoded.transactions));
    else if (done === 'without-copy') work.unshift({ ...piece, mode: 'sets' });
    else {
      result.transactions += done.transactions;
      result.changes += done.changes;
      result.conflicts += done.conflicts;
      if (done.gap) return { ...result, gap: true };
    }
  }
  return result;
}

async function decodeWhole(
  messages: readonly Message[],
  blobs: BlobStore,
): Promise<{ units: readonly Unit[]; decoded: DecodedChanges }> {
  const records = await Promise.all(
    messages.map(async (message) => {
      const [stored] = message.header.parts ?? [];
      return stored ? decompress(await blobs.get(stored.key)) : inlineRecords(message);
    }),
  );
  const { decoded, transactions } = decodeTogether(records);
  const units = messages.map(({ header }, i) => ({ header, transactions: transactions[i]! }));
  for (const { header, transactions: found } of units)
    if (found.length !== header.transactions || found.at(-1)?.position !== header.last)
      throw new PgtwinError('message-malformed', { detail: 'A message does not hold what its header says.' });
  return { units, decoded };
}

const nothing = (gap: boolean): BatchResult => ({ transactions: 0, changes: 0, conflicts: 0, gap });

/** One destination transaction; tried again after deadlocks and the like. `split` asks for smaller or exact pieces. */
async function attempt(
  options: BatchOptions,
  piece: Piece,
  units: readonly Unit[],
  decoded: DecodedChanges,
  seen: readonly Seen[],
): Promise<BatchResult | 'split' | 'without-copy'> {
  const { session, settings, log } = options;
  const { mode } = piece;
  for (let tries = 1; ; tries++) {
    try {
      return await inTransaction(session, async () => {
        const progress = await lockOrRefuse(options);
        const { header, numbers, gap } = admit(progress, units, piece);
        if (gap !== undefined) {
          const came = units.map((u) => `${u.header.epoch}: ${u.header.previous} to ${u.header.last}`);
          log.warn('messages are missing', { watermark: progress.position, came });
          await noteGap(session, gap);
        }
        if (numbers.length === 0) return nothing(gap !== undefined);
        const writer = new BatchWriter(session, settings, progress);
        const transactions = numbers.map((n) => decoded.transactions[n]!);
        const seenBy = numbers.map((n) => writer.seenFloor(seen[n]!));
        const newest = seenBy.at(-1)!;
        const { generation, epoch } = header;
        writer.advance({ decoded, transactions, generation, epoch, seen: newest });
        await writer.write({ decoded, transactions, seenBy }, mode);
        await writer.finish(newest);
        const changes = transactions.reduce((sum, t) => sum + t.to - t.from, 0);
        const conflicts = writer.conflicts.length;
        return { transactions: transactions.length, changes, conflicts, gap: gap !== undefined };
      });
    } catch (error) {
      if (error instanceof TaskStopped) throw await recordStop(options, error);
      if (error instanceof CopyCollides) return 'without-copy';
      if (mode !== 'strict' && (error instanceof NeedsExact || isConstraint(error))) return 'split';
      if (tries < TRIES && (isTransient(error) || isConstraint(error) || isOriginBusy(error))) {
        log.warn('apply transaction is tried again', { tries, code: codeOf(error) });
        if (isOriginBusy(error)) await pause(tries * ORIGIN_MS);
        continue;
      }
      throw isConstraint(error) ? refusedBy(error) : translate(error);
    }
  }
}

async function lockOrRefuse({ session, settings }: BatchOptions): Promise<Progress> {
  const progress = await lockProgress(session, settings.opposite);
  if (progress) return progress;
  throw new PgtwinError('gap-not-healable', {
    detail: `Task ${session.task} has no progress row on the destination.`,
  });
}

/** The backend of an invocation that was killed gives its locks back a moment before its origin. */
const isOriginBusy = (error: unknown): boolean => codeOf(error) === sqlstate.objectInUse;
const ORIGIN_MS = 20;

/** Class 23, integrity constraint violation. */
const isConstraint = (error: unknown): boolean => /^23/.test(codeOf(error));

const refusedBy = (cause: unknown): PgtwinError => {
  const { constraint, table, schema } = cause as { constraint?: string; table?: string; schema?: string };
  return new PgtwinError(
    'change-refused',
    {
      detail: `The destination refused a change of ${schema}.${table}: constraint ${constraint} (SQLSTATE ${codeOf(cause)}).`,
      sqlstate: codeOf(cause),
    },
    { cause },
  );
};

/** The conflict that stops the task, written in a transaction of its own after the rollback. */
async function recordStop({ session, settings }: BatchOptions, stopped: TaskStopped): Promise<PgtwinError> {
  const { conflict } = stopped;
  const { entry, table, position } = conflict;
  const id = await inTransaction(session, () => logStop(session, conflict, settings.log));
  return new PgtwinError('conflict-stops-task', {
    detail: `Conflict ${id}, of kind ${entry.kind} in ${table.table.name}, stops the task (policy ${entry.policy}).`,
    position,
    table: table.table.name,
    conflict: id,
  });
}

/** A transaction in several stored parts: one destination transaction, part by part, so that memory stays bounded. */
async function applyParts(message: Message, options: BatchOptions): Promise<BatchResult> {
  const { session } = options;
  for (const mode of ['copy', 'sets', 'exact', 'strict'] as const) {
    try {
      return await inTransaction(session, () => writeParts(message, options, mode));
    } catch (error) {
      if (error instanceof TaskStopped) throw await recordStop(options, error);
      if (mode !== 'strict' && (error instanceof NeedsExact || isConstraint(error))) continue;
      throw isConstraint(error) ? refusedBy(error) : translate(error);
    }
  }
  throw new PgtwinError('internal', { detail: 'A batch was neither written nor refused.' });
}

async function writeParts(message: Message, options: BatchOptions, mode: Mode): Promise<BatchResult> {
  const { header } = message;
  const { session, blobs, settings, log } = options;
  const progress = await lockOrRefuse(options);
  const others = header.allShards ? await lockOthers(session) : [];
  const missing = shardsWithout(header.last, [{ shard: session.shard, ...progress }, ...others]);
  const unit = { header, transactions: [{ position: header.last }] };
  const { numbers, gap } = admit(watermarkFor(header, progress, missing), [unit], { from: 0, to: 1 });
  if (gap !== undefined) {
    log.warn('messages are missing', { watermark: progress.position, behind: header.previous });
    await noteGap(session, gap);
  }
  if (numbers.length === 0) return nothing(gap !== undefined);
  const writer = new BatchWriter(session, settings, progress, others);
  const decoder = new RecordDecoder();
  const seen = writer.seenFloor(parseSeen(header.seen));
  const parts = header.parts ?? [undefined];
  const read = async (n: number): Promise<DecodedChanges> => {
    const stored = parts[n];
    const decoded = decoder.decode(stored ? decompress(await blobs.get(stored.key)) : inlineRecords(message));
    return missing.size > others.length ? decoded : changesOfShards(decoded, settings.placing, missing);
  };
  let coming: Promise<DecodedChanges> | undefined;
  try {
    for (const n of parts.keys()) {
      const part = await (coming ?? read(n));
      const more = n + 1 < parts.length;
      // The next one is read and decoded while the server takes this one; not beside a change of very many bytes.
      coming = more && part.bytes.length <= 2 * limits.partBytes ? read(n + 1) : undefined;
      coming?.catch(() => {});
      const decoded = await shapeChanges(part, settings.shapeOf, session);
      const { transactions } = decoded;
      const { endLsn, changes, generation, epoch } = header;
      const whole = { endLsn, changes };
      if (n === 0) writer.advance({ decoded, transactions, generation, epoch, seen, whole });
      if (transactions.length > 0) await writer.write({ decoded, transactions, seenBy: [seen] }, mode, more);
    }
    await writer.finish(seen);
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  return { transactions: 1, changes: header.changes, conflicts: writer.conflicts.length, gap: false };
}
