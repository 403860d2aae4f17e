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

/** Pieces that take longer are cut: the flow is even, also at low limits. */
const SLICE_MS = 200;

/**
 * Lets a COPY's bytes through as the pace allows. While it holds them back nothing is read from the source, which
 * then stops reading its table. Limits may come and go while it runs. `rowsIn` tells the rows of a piece.
 */
export function pacedStream(
  pace: CopyPace,
  rowsIn: (data: Buffer) => number,
  signal: AbortSignal,
): Transform {
  return new Transform({
    transform(data: Buffer, _encoding, done) {
      // As it is: what it was read into is then given back as soon as it has been written.
      if (!pace.isLimited) return done(null, data);
      passOn(this, data).then(() => done(), done);
    },
  });

  async function passOn(to: Transform, data: Buffer): Promise<void> {
    const rows = rowsIn(data);
    const slices = Math.max(1, Math.ceil(pace.worthMs({ bytes: data.length, rows }) / SLICE_MS));
    const size = Math.ceil(data.length / slices);
    for (let at = 0; at < data.length; at += size) {
      const slice = size < data.length ? data.subarray(at, at + size) : data;
      await pace.settle(signal);
      pace.spend({ bytes: slice.length, rows: (rows * slice.length) / data.length });
      to.push(slice);
    }
  }
}
