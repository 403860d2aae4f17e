import type { Log } from '../../shared/log/log.ts';
import type { Emit } from '../../shared/log/metrics.ts';
import type { Delivery } from '../../shared/task/ports.ts';
import type { Repository } from '../../shared/task/repository.ts';
import type { Pair, Task, TaskConfig } from '../../shared/task/schema.ts';
import type { AlertSenders } from './alerts/deliver.ts';

/** A task with what it points at; `config` is absent before the first configuration. */
export type Watched = {
  readonly task: Task;
  readonly pair: Pair;
  readonly config: TaskConfig | undefined;
};

/** Everything a duty may use. `watched` was read once for all duties of this run. */
export type Round = {
  readonly now: Date;
  readonly prefix: string;
  readonly watched: readonly Watched[];
  readonly repository: Repository;
  readonly delivery: Pick<Delivery, 'depth'>;
  /** Milliseconds since 1970 until which long work may go on. Default: a few seconds. */
  readonly workUntil?: number;
  readonly log: Log;
  readonly emit: Emit;
  readonly senders: AlertSenders;
};

/** Something the monitor does in every round. It must bear being run twice at once, and being left out for a while. */
export type Duty = {
  readonly name: string;
  readonly run: (round: Round) => Promise<void>;
  /** True if it looks at no tasks: then they are not read for it. */
  readonly unwatched?: true;
};
