import { setTimeout as pause } from 'node:timers/promises';
import { GetQueueUrlCommand, PurgeQueueCommand } from '@aws-sdk/client-sqs';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { until } from '../support/wait.ts';
import type { Fault } from './schedule.ts';
import { type SecondCapture, startSecondCapture } from './second-capture.ts';
import type { World } from './world.ts';

type Invoke = (event: SQSEvent) => Promise<SQSBatchResponse>;
/** What a fault does to invocations of apply while it lasts. */
type Tap = (event: SQSEvent, apply: Invoke) => Promise<SQSBatchResponse>;

/** Carries faults out. What concerns one part (the capture, a server) waits for its turn there. */
export class Faults {
  readonly #world: World;
  readonly #taps = new Set<Tap>();
  readonly #lanes = new Map<string, Promise<void>>();
  readonly #running = new Set<Promise<void>>();
  #second: SecondCapture | undefined;
  #failure: unknown;

  constructor(world: World) {
    this.#world = world;
    const { apply } = world.on.platform;
    const invoke = apply.invoke.bind(apply) as Invoke;
    apply.invoke = ((event: SQSEvent) =>
      [...this.#taps].reduce<Invoke>((inner, tap) => (e) => tap(e, inner), invoke)(event)) as never;
  }

  /** Begins a fault; `settled` waits for its end. */
  begin(fault: Fault): void {
    const lane = laneOf(fault);
    const former = this.#lanes.get(lane) ?? Promise.resolve();
    const work = former
      .then(() => this.#carryOut(fault))
      .catch((error: unknown) => {
        this.#failure ??= new Error(`fault ${fault.number} (${fault.kind}) could not be carried out`, {
          cause: error,
        });
      })
      .finally(() => this.#running.delete(work));
    this.#lanes.set(lane, work);
    this.#running.add(work);
  }

  /** All faults are over, everything runs. Throws if one could not be carried out. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    const { on } = this.#world;
    on.platform.startCapture();
    await this.#second?.end();
    if (this.#failure) throw this.#failure;
  }

  async #carryOut(fault: Fault): Promise<void> {
    const { on, proxies, servers, table, twin, leaseMs } = this.#world;
    const { platform } = on;
    switch (fault.kind) {
      case 'capture-killed':
        await platform.killCapture();
        await this.#second?.end();
        await pause(fault.awayMs);
        platform.startCapture();
        return;
      case 'apply-killed':
        for (const afterMs of fault.afterMs) await this.#killApply(afterMs);
        return;
      case 'messages-doubled':
        return this.#tapFor(fault.forMs, doubled());
      case 'messages-delayed':
        return this.#tapFor(fault.forMs, delayed(fault.byMs));
      case 'messages-lost':
        return this.#tapTimes(fault.count, async () => ({ batchItemFailures: [] }));
      case 'answers-lost':
        return this.#tapTimes(fault.count, async (event, apply) => {
          await apply(event);
          throw new Error('the answer is lost');
        });
      case 'queue-purged':
        for (const direction of fault.which === 'both' ? ['forward', 'reverse'] : [fault.which])
          await this.#purge(`pgtwin-${twin.pair}_${direction[0]}.fifo`);
        return;
      case 'table-refuses':
        table.mood = fault.what;
        await pause(fault.forMs);
        table.mood = 'well';
        return;
      case 'connections-cut': {
        const proxy = proxies[fault.side];
        proxy.refuse(fault.refuseMs > 0);
        proxy.cut();
        await pause(fault.refuseMs);
        proxy.refuse(false);
        return;
      }
      case 'connection-cut-in-data':
        proxies[fault.side].cutAfterBytes(fault.bytes, 'to-server');
        return;
      case 'network-silent':
        proxies[fault.side].pause();
        await pause(fault.forMs);
        proxies[fault.side].resume();
        return;
      case 'server-restarted':
        return servers[fault.side].restart(fault.mode);
      case 'lease-lost':
        return this.#loseLease(Math.max(fault.stoppedMs, leaseMs + 1_000));
      case 'task-paused':
        return this.#pauseTask(fault.direction, fault.forMs);
    }
  }

  /** One that a conflict has stopped, or stops meanwhile, is not paused. */
  async #pauseTask(direction: 'forward' | 'reverse', forMs: number): Promise<void> {
    const { twin } = this.#world;
    try {
      await twin.act(direction, 'pause');
    } catch (error) {
      if (/not allowed in state Failed/.test(String(error))) return;
      throw error;
    }
    const state = await until(
      `task ${direction} is no longer Pausing`,
      async (saw) => {
        const task = await twin.task(direction);
        saw(task.state);
        return task.state === 'Pausing' ? undefined : task.state;
      },
      { timeoutMs: 60_000 },
    );
    if (state !== 'Paused') return;
    await pause(forMs);
    await twin.act(direction, 'resume');
  }

  /** Some milliseconds after the next invocation has begun, or now if none comes. */
  async #killApply(afterMs: number): Promise<void> {
    const { apply } = this.#world.on.platform;
    const begun = Promise.withResolvers<void>();
    const tap: Tap = (event, inner) => {
      begun.resolve();
      return inner(event);
    };
    this.#taps.add(tap);
    await Promise.race([begun.promise, pause(500)]);
    this.#taps.delete(tap);
    await pause(afterMs);
    await apply.kill();
  }

  async #tapFor(forMs: number, tap: Tap): Promise<void> {
    this.#taps.add(tap);
    await pause(forMs);
    this.#taps.delete(tap);
  }

  async #tapTimes(count: number, tap: Tap): Promise<void> {
    const done = Promise.withResolvers<void>();
    let left = count;
    const counted: Tap = (event, apply) => {
      if (left-- <= 0) return apply(event);
      if (left === 0) done.resolve();
      return tap(event, apply);
    };
    this.#taps.add(counted);
    await Promise.race([done.promise, pause(3_000)]);
    this.#taps.delete(counted);
  }

  async #purge(QueueName: string): Promise<void> {
    const { sqs } = this.#world;
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName }));
    await sqs.send(new PurgeQueueCommand({ QueueUrl }));
  }

  /** The capture stands still past its lease; another one takes over; then the first goes on as if nothing was. */
  async #loseLease(stoppedMs: number): Promise<void> {
    const { platform } = this.#world.on;
    const { capturePid } = platform;
    if (capturePid === undefined) return;
    process.kill(capturePid, 'SIGSTOP');
    await this.#second?.end();
    this.#second = startSecondCapture(platform.env, this.#world.onLine);
    await pause(stoppedMs);
    process.kill(capturePid, 'SIGCONT');
  }
}

/** What can't go on at the same time. */
function laneOf(fault: Fault): string {
  switch (fault.kind) {
    case 'capture-killed':
    case 'lease-lost':
      return 'capture';
    case 'apply-killed':
      return 'apply';
    case 'server-restarted':
      return `server ${fault.side}`;
    case 'connections-cut':
    case 'connection-cut-in-data':
    case 'network-silent':
      return `network ${fault.side}`;
    case 'table-refuses':
      return 'table';
    case 'task-paused':
      return `task ${fault.direction}`;
    default:
      return `messages ${fault.number}`;
  }
}

/** Twice at the same time, and once more behind the next ones. */
function doubled(): Tap {
  let former: SQSEvent | undefined;
  let count = 0;
  return async (event, apply) => {
    const late = former;
    former = structuredClone(event);
    const twice = count++ % 2 === 0 ? [apply(structuredClone(event))] : [];
    const [answer] = await Promise.all([apply(event), ...twice]);
    if (late) await apply(late).catch(() => {});
    return answer;
  };
}

/** Held for a while, so that those behind it wait, too; every third comes once more, much later. */
function delayed(byMs: number): Tap {
  let count = 0;
  return async (event, apply) => {
    if (count++ % 3 === 0) {
      const late = structuredClone(event);
      void pause(3 * byMs).then(() => apply(late).catch(() => {}));
    }
    await pause(byMs);
    return apply(event);
  };
}
