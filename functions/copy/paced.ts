import { Transform } from 'node:stream';
import { systemClock } from '../../shared/config/clock.ts';
import type { FullLimits } from '../../shared/task/load-limits.ts';
import { Pace } from '../../shared/task/pace.ts';
import type { Repository } from '../../shared/task/repository.ts';
import type { Task } from '../../shared/task/schema.ts';

export type CopyPace = Pace<'queries' | 'rows' | 'bytes'>;

/** Each of the lanes that copy at the same time has an equal share of what the task may take. */
const ratesOf = (limits: FullLimits | undefined, lanes: number) => {
  const share = (limit: number | null | undefined): number | null => (limit ? limit / lanes : null);
  return {
    queries: share(limits?.queriesPerSecond),
    rows: share(limits?.rowsPerSecond),
    bytes: share(limits?.bytesPerSecond),
  };
};

const LOOK_MS = 1_000;
/** What a chunk costs besides its rows (statements, first bytes) is made up for. */
const BURST_MS = 1_000;

/** The pace of one message's chunks; follows the limits of the task while they are copied. */
export function openPace(
  repository: Repository,
  task: Task,
  lanes: number,
): { readonly pace: CopyPace; close(): void } {
  const clock = { now: () => performance.now(), sleep: systemClock.sleep };
  const pace: CopyPace = new Pace(ratesOf(task.limits?.full, lanes), clock, BURST_MS);
  const look = async (): Promise<void> => {
    const now = await repository.getTask(task.id);
    pace.set(ratesOf(now.limits?.full, lanes));
  };
  const timer = setInterval(() => void look().catch(() => {}), LOOK_MS);
  return { pace, close: () => clearInterval(timer) };
}

/**
 * Lets a COPY's bytes through as the pace allows. While it holds them back nothing is read from the source, which
 * then stops reading its table.
 */
export function pacedStream(pace: CopyPace, format: 'text' | 'binary', signal: AbortSignal): Transform {
  const count = format === 'text' ? countLines : binaryCounter();
  return new Transform({
    transform(data: Buffer, _encoding, done) {
      pace.settle(signal).then(() => {
        pace.spend({ bytes: data.length, rows: count(data) });
        done(null, data);
      }, done);
    },
  });
}

/** In COPY's text format every line feed ends a row: those in values are escaped (manual, COPY, "Text Format"). */
export function countLines(data: Buffer): number {
  let rows = 0;
  for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, at + 1)) rows += 1;
  return rows;
}

const HEADER_BYTES = 11 + 4;

/**
 * Counts rows of COPY's binary format in pieces cut anywhere (manual, COPY, "Binary Format"): a header, then per row
 * the number of fields, and per field its length and that many bytes; -1 fields at the end.
 */
export function binaryCounter(): (data: Buffer) => number {
  /** Bytes to pass over, then a number of so many bytes is next. */
  let skip = HEADER_BYTES;
  let extension = true;
  let fields = 0;
  let pending: number[] = [];
  return (data) => {
    let rows = 0;
    for (let at = 0; at < data.length; ) {
      if (skip > 0) {
        const step = Math.min(skip, data.length - at);
        skip -= step;
        at += step;
        continue;
      }
      pending.push(data[at]!);
      at += 1;
      const wide = extension || fields > 0;
      if (pending.length < (wide ? 4 : 2)) continue;
      const bytes = Buffer.from(pending);
      pending = [];
      if (extension) {
        extension = false;
        skip = bytes.readInt32BE(0);
      } else if (fields > 0) {
        fields -= 1;
        skip = Math.max(0, bytes.readInt32BE(0));
      } else {
        fields = Math.max(0, bytes.readInt16BE(0));
        if (bytes.readInt16BE(0) >= 0) rows += 1;
      }
    }
    return rows;
  };
}
