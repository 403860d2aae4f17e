import type { FunctionEnvironment } from './function-environment.ts';

type Waiting = {
  readonly kind: string | undefined;
  resolve(environment: FunctionEnvironment): void;
  reject(error: unknown): void;
};

/**
 * The environments of a function, at most so many, each lent to one invocation at a time. Who finds none free gets
 * whichever comes first: one that is given back, or a new one, for a start takes longer than most invocations. The
 * environment that carried out an invocation of the same kind before is preferred: it has its connections open. Then
 * one that has none yet, so that those of other kinds stay where theirs are.
 */
export class FunctionPool {
  readonly #limit: number;
  readonly #open: () => FunctionEnvironment;
  readonly #idle: FunctionEnvironment[] = [];
  readonly #busy = new Set<FunctionEnvironment>();
  readonly #starting = new Set<FunctionEnvironment>();
  readonly #waiting: Waiting[] = [];
  readonly #kinds = new WeakMap<FunctionEnvironment, string>();

  constructor(limit: number, open: () => FunctionEnvironment) {
    this.#limit = limit;
    this.#open = open;
  }

  /** All that are alive, those that start included. */
  get environments(): readonly FunctionEnvironment[] {
    return [...this.#idle, ...this.#busy, ...this.#starting].filter(({ alive }) => alive);
  }

  /** Starts what is missing of so many, and waits until all are loaded. Rejects if one can't be. */
  async warm(count: number): Promise<void> {
    while (this.environments.length < Math.min(count, this.#limit)) this.#start();
    await Promise.all(this.environments.map(({ ready }) => ready));
  }

  /** Rejects if an environment that was started for this can't be loaded. */
  take(kind?: string): Promise<FunctionEnvironment> {
    const taken = new Promise<FunctionEnvironment>((resolve, reject) => {
      this.#waiting.push({ kind, resolve, reject });
    });
    this.#serve();
    return taken;
  }

  giveBack(environment: FunctionEnvironment): void {
    this.#busy.delete(environment);
    this.#idle.push(environment);
    this.#serve();
  }

  #serve(): void {
    while (this.#waiting[0]) {
      const environment = this.#pick(this.#waiting[0].kind);
      if (!environment) break;
      const { kind, resolve } = this.#waiting.shift()!;
      if (kind !== undefined) this.#kinds.set(environment, kind);
      this.#busy.add(environment);
      resolve(environment);
    }
    const room = this.#limit - this.#busy.size - this.#starting.size;
    const wanted = this.#waiting.length - this.#starting.size;
    for (let n = 0; n < Math.min(room, wanted); n++) this.#start();
  }

  #pick(kind: string | undefined): FunctionEnvironment | undefined {
    const alive = this.#idle.filter((environment) => environment.alive);
    const last = (of: string | undefined) =>
      alive.findLast((environment) => this.#kinds.get(environment) === of);
    const picked = last(kind) ?? last(undefined) ?? alive.at(-1);
    this.#idle.splice(0, this.#idle.length, ...alive.filter((environment) => environment !== picked));
    return picked;
  }

  #start(): void {
    const environment = this.#open();
    this.#starting.add(environment);
    environment.ready.then(
      () => {
        this.#starting.delete(environment);
        this.#idle.push(environment);
        this.#serve();
      },
      (error) => {
        this.#starting.delete(environment);
        this.#waiting.shift()?.reject(error);
        this.#serve();
      },
    );
  }
}
