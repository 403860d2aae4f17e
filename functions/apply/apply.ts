import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { asPgtwinError, PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { TaskCounters } from '../../shared/log/metrics.ts';
import { isConnectionError, translateOwn } from '../../shared/postgres/sqlstate.ts';
import { type Message, parseMessage } from '../../shared/stream/message.ts';
import { appliedStates } from '../../shared/task/machine.ts';
import { type BlobStore, type Clock, type SecretStore, targetOf } from '../../shared/task/ports.ts';
import type { Repository } from '../../shared/task/repository.ts';
import { destinationOf } from '../../shared/task/schema.ts';
import { applyMessages, type BatchResult } from './batch.ts';
import { readContext, type TaskContext } from './context.ts';
import { failuresOf, groupRecords } from './failures.ts';
import { openSession, type Session } from './session.ts';

export type ApplyDeps = {
  readonly repository: Repository;
  readonly secrets: SecretStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters?: Pick<TaskCounters, 'add'>;
  /** Makes records that failed visible again after some seconds, instead of at their visibility time-out. */
  readonly delay: (records: readonly SQSRecord[], seconds: number) => Promise<void>;
};

/** What is known of a task is read again after this time, while messages are applied; */
const CONTEXT_MS = 1_500;
/** after this time nothing is applied before it has been read. */
const CONTEXT_MAX_MS = 3_000;

/** `epoch`: of the newest message that was there when it was read. */
type KnownContext = TaskContext & { readonly epoch: number };

type Lane = { session: Session; generation: number };

/** The apply function's core: keeps connections and task settings between invocations of one process. */
export class Apply {
  readonly #deps: ApplyDeps;
  readonly #contexts = new Map<string, KnownContext>();
  /** Tasks whose context is being read beside the work. */
  readonly #reading = new Set<string>();
  readonly #lanes = new Map<string, Lane>();

  constructor(deps: ApplyDeps) {
    this.#deps = deps;
  }

  /** One invocation. Groups are applied beside each other; a failure of one does not concern the others. */
  async handle(event: SQSEvent): Promise<SQSBatchResponse> {
    const groups = groupRecords(event.Records);
    const failed = new Map<string, number>();
    const each = async ([group, records]: [string, readonly SQSRecord[]]): Promise<void> => {
      const from = await this.#group(group, records);
      if (from < records.length) failed.set(group, from);
    };
    await Promise.all([...groups].map(each));
    return { batchItemFailures: failuresOf(groups, failed) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.session.close()));
    this.#lanes.clear();
  }

  /** Returns the index of the first record that is to come again. */
  async #group(group: string, records: readonly SQSRecord[]): Promise<number> {
    const task = group.slice(0, group.lastIndexOf('.'));
    const log = this.#deps.log.with({ task });
    const messages: Message[] = [];
    let upTo = 0;
    try {
      for (; upTo < records.length; upTo++) {
        const message = parseUnlessMalformed(records[upTo]!, log);
        if (message) messages.push(message);
      }
    } catch (thrown) {
      // What stands before it is applied.
      if (messages.length === 0) return this.#failed(group, task, records, thrown, log);
    }
    if (messages.length === 0) return upTo;
    const started = performance.now();
    try {
      const result = await this.#apply(task, messages, log);
      if (result) this.#count(task, result, performance.now() - started);
      if (result) log.debug?.('applied', { ...result, last: messages.at(-1)!.header.last });
      return upTo;
    } catch (thrown) {
      return this.#failed(group, task, records, thrown, log);
    }
  }

  #count(task: string, { changes, transactions, conflicts, gap }: BatchResult, ms: number): void {
    this.#deps.counters?.add(task, {
      ...{ RowsWritten: changes, TransactionsWritten: transactions, ConflictsMet: conflicts },
      ...{ GapsMet: gap ? 1 : 0, ApplySeconds: ms / 1000 },
    });
  }

  async #apply(taskId: string, messages: readonly Message[], log: Log): Promise<BatchResult | undefined> {
    const known = this.#contexts.get(taskId);
    const newest = (field: 'config' | 'epoch') => Math.max(...messages.map((m) => m.header[field]));
    const context = await this.#context(taskId, newest('config'), newest('epoch'));
    try {
      return await this.#applyWith(context, messages, log);
    } catch (error) {
      // Another process may have stopped here before, and a person chosen since this one has read the choices.
      const stopped = error instanceof PgtwinError && error.code === 'conflict-stops-task';
      if (!stopped || context !== known) throw error;
      this.#contexts.delete(taskId);
      return this.#apply(taskId, messages, log);
    }
  }

  async #applyWith(
    context: TaskContext | undefined,
    messages: readonly Message[],
    log: Log,
  ): Promise<BatchResult | undefined> {
    if (!context || !appliedStates.includes(context.task.state)) {
      // Unread: a stopped task must not burn receives, and the slot still has what these carry.
      log.info('messages dropped', { state: context?.task.state ?? 'unknown', messages: messages.length });
      return undefined;
    }
    const { shard } = messages[0]!.header;
    const generation = Math.max(...messages.map((m) => m.header.generation));
    const lane = await this.#lane(context, shard, generation);
    const { blobs } = this.#deps;
    return applyMessages(messages, {
      session: lane.session,
      settings: context.settings,
      blobs,
      log,
    });
  }

  async #failed(
    group: string,
    task: string,
    records: readonly SQSRecord[],
    thrown: unknown,
    log: Log,
  ): Promise<number> {
    const error = asPgtwinError(translateOwn(thrown));
    log.error('messages not applied', { group, code: error.code, error });
    const lane = this.#lanes.get(group);
    if (
      lane &&
      (isConnectionError(thrown) || isConnectionError(error.cause) || error.code === 'database-unreachable')
    ) {
      this.#lanes.delete(group);
      await lane.session.close();
    }
    lane?.session.forgetTables();
    const context = this.#contexts.get(task);
    this.#contexts.delete(task);
    // The password may have been changed.
    if (error.code === 'login-failed' && context)
      for (const { secret } of Object.values(context.pair.sides)) this.#deps.secrets.forget?.(secret);
    const { repository, clock, delay } = this.#deps;
    const input = error.rule.retry === 'never' ? 'give-up' : 'error';
    const at = clock.now().toISOString();
    const { conflict } = error.facts;
    const facts = {
      ...{ code: error.code, detail: error.message, advice: error.rule.advice, at },
      ...(typeof conflict === 'string' ? { conflict } : {}),
    };
    const why = { cause: error.message, actor: 'apply', error: facts };
    const told = await repository.tryMove(task, input, why).then(
      () => true,
      () => false,
    );
    // The task has failed: its messages would be dropped, and until then stand in front of those that a retry sends.
    if (told && input === 'give-up') return records.length;
    const receives = Number(records[0]?.attributes.ApproximateReceiveCount ?? 1);
    await delay(records, Math.min(30, 2 ** Math.min(receives - 1, 5))).catch(() => {});
    return 0;
  }

  async #context(taskId: string, config: number, epoch: number): Promise<KnownContext | undefined> {
    const now = this.#deps.clock.now().getTime();
    const known = this.#contexts.get(taskId);
    // A task that was resumed or restarted sends in a new epoch: what was read before does not know of it.
    const fresh = known && now - known.readAt < CONTEXT_MAX_MS && known.epoch >= epoch;
    const usable = fresh && known.task.configVersion >= config;
    // Nothing is dropped because of what may have changed meanwhile: a task that was just resumed would lose it.
    if (!usable || !appliedStates.includes(known.task.state)) return this.#readContext(taskId, now, epoch);
    if (now - known.readAt >= CONTEXT_MS && !this.#reading.has(taskId)) {
      this.#reading.add(taskId);
      // If it fails, it is too old before long, and then read where the failure counts.
      void this.#readContext(taskId, now, epoch)
        .catch(() => {})
        .finally(() => this.#reading.delete(taskId));
    }
    return known;
  }

  async #readContext(taskId: string, now: number, epoch: number): Promise<KnownContext | undefined> {
    const former = this.#contexts.get(taskId);
    try {
      const context = { ...(await readContext(this.#deps.repository, taskId, now, former)), epoch };
      // Unless it was forgotten meanwhile (a failure: somebody may have changed something), or read by another call.
      if (this.#contexts.get(taskId) === former) this.#contexts.set(taskId, context);
      return context;
    } catch (error) {
      if (!(error instanceof PgtwinError) || error.code !== 'not-found') throw error;
      this.#contexts.delete(taskId);
      return undefined;
    }
  }

  async #lane(context: TaskContext, shard: number, generation: number): Promise<Lane> {
    const { task, pair, config } = context;
    const group = `${task.id}.${shard}`;
    const known = this.#lanes.get(group);
    if (known && known.generation === generation && !known.session.isClosed()) return known;
    await known?.session.close();
    const endpoint = pair.sides[destinationOf(task.direction)];
    const session = await openSession({
      target: await targetOf(endpoint, this.#deps.secrets),
      task: task.id,
      shard,
      synchronousCommit: config.synchronousCommit,
      objects: () => (this.#contexts.get(task.id) ?? context).objects,
    });
    const lane = { session, generation };
    this.#lanes.set(group, lane);
    return lane;
  }
}

/** One that is not ours, or broken, is dropped: put back, it would stand in front of its own cure, a re-send. */
function parseUnlessMalformed(record: SQSRecord, log: Log): Message | undefined {
  try {
    return parseMessage(record.body);
  } catch (error) {
    if (!(error instanceof PgtwinError) || error.code !== 'message-malformed') throw error;
    log.error('message is not readable and dropped, it will be sent again', {
      message: record.messageId,
      error,
    });
    return undefined;
  }
}
