import type { Log } from '../../shared/log/log.ts';
import type { Queryable, Target } from '../../shared/postgres/connect.ts';
import type { Position } from '../../shared/stream/position.ts';
import type { Placing } from '../../shared/task/placing.ts';
import type { BlobStore, Clock, Queue } from '../../shared/task/ports.ts';
import type { ConfirmableStream } from './confirm.ts';
import type { ProgressReading } from './progress-row.ts';
import type { HybridClock, SeenTracker } from './seen-state.ts';
import type { SendPace } from './send-pace.ts';

export type StreamOptions = {
  readonly task: string;
  readonly generation: number;
  readonly epoch: number;
  readonly config: number;
  readonly source: Target;
  /** Ordinary connections, used by nobody else meanwhile. */
  readonly sourceSql: Queryable;
  readonly destinationSql: Queryable;
  readonly origin: 'none' | undefined;
  readonly retention: 'until-applied' | 'until-queued';
  readonly queueUrl: string;
  readonly queue: Queue;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Limits of the load; absent: none. */
  readonly pace?: SendPace | undefined;
  /** The tables' shards. */
  readonly placing: Placing;
  /** By shard what this side had seen of the other at the position that is confirmed to the slot. */
  readonly seen: readonly SeenTracker[];
  readonly hybrid: HybridClock;
  /** By shard: nothing up to here is sent. The watermark at the start, or what the queue had taken. */
  readonly start: readonly Position[];
  readonly saved: Pick<ConfirmableStream, 'shards'> | undefined;
  /** `wal_sender_timeout` of the source in ms; 0 is off. */
  readonly senderTimeoutMs: number;
  readonly saveCheckpoint: (at: ConfirmableStream) => Promise<void>;
  /** Somebody waits for a position to be passed: the watermark is read often, though nothing is outstanding. */
  readonly isAwaited: () => boolean;
  readonly onProgress: (reading: ProgressReading, stream: StreamFigures) => Promise<void>;
};

export type StreamFigures = {
  readonly bytesSent: number;
  readonly messagesSent: number;
  readonly outstanding: boolean;
  /** WAL up to here has been read. */
  readonly read: bigint;
};

/** Why a stream ended without an error. */
export type StreamEnd =
  | { readonly why: 'stopped' | 'drained' }
  | { readonly why: 're-send'; readonly epoch: number; readonly from: Position };
